use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::endpoint::Host;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn failure(dir: &Path) -> Error {
    LocalCa::open_or_create_in(dir).unwrap_err()
}

#[test]
fn made_once_and_found_again() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().join("data/bandy");
    assert!(LocalCa::open_in(&dir).is_err());
    assert_eq!(LocalCa::certificate_in(&dir).unwrap(), None);
    let made = LocalCa::open_or_create_in(&dir).unwrap();
    let again = LocalCa::open_in(&dir).unwrap();
    assert_eq!(made.pem(), again.pem());
    assert_eq!(made.fingerprint().len(), 64);
    assert_eq!(
        LocalCa::certificate_in(&dir).unwrap().as_ref(),
        Some(made.certificate())
    );
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join(KEY_FILE)), 0o600);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
}

#[test]
fn all_that_start_at_once_agree() {
    let tmp = tempfile::tempdir().unwrap();
    let start = std::sync::Barrier::new(8);
    let pems: Vec<String> = std::thread::scope(|s| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                s.spawn(|| {
                    start.wait();
                    LocalCa::open_or_create_in(tmp.path()).unwrap().pem
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(pems.windows(2).all(|w| w[0] == w[1]));
    LocalCa::open_in(tmp.path()).unwrap();
}

#[test]
fn a_key_whose_maker_was_killed_gets_its_certificate() {
    let tmp = tempfile::tempdir().unwrap();
    let first = LocalCa::open_or_create_in(tmp.path()).unwrap();
    fs::remove_file(first.path()).unwrap();
    let second = LocalCa::open_or_create_in(tmp.path()).unwrap();
    assert_eq!(
        first.issuer.key().serialize_der(),
        second.issuer.key().serialize_der()
    );
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path();
    let ca = LocalCa::open_or_create_in(dir).unwrap();
    let key = dir.join(KEY_FILE);
    let good = fs::read(&key).unwrap();

    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let e = failure(dir);
    assert!(e.to_string().ends_with("ca-key.pem has mode 0640"), "{e}");
    assert_eq!(
        e.next_step(),
        Some(format!("chmod 600 {}", key.display()).as_str())
    );
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    fs::write(&key, &good[..60]).unwrap();
    let e = failure(dir);
    assert!(e.to_string().ends_with("not a private key in PEM"), "{e}");

    fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let e = failure(dir);
    assert!(
        e.to_string()
            .ends_with("does not belong to the key in ca-key.pem"),
        "{e}"
    );

    fs::remove_file(&key).unwrap();
    let e = failure(dir);
    assert!(e.to_string().ends_with("ca-key.pem, is gone"), "{e}");
    assert!(
        !key.exists(),
        "a new key would leave a certificate without its own"
    );

    fs::write(&key, &good).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(ca.path(), "not a certificate").unwrap();
    let e = failure(dir);
    assert!(e.to_string().ends_with("not a certificate in PEM"), "{e}");
}

#[test]
fn an_expired_one_is_refused() {
    let tmp = tempfile::tempdir().unwrap();
    let ca = LocalCa::open_or_create_in(tmp.path()).unwrap();
    let past = SystemTime::now() - Duration::from_secs(DAY);
    let mut expired = params("Bandy local CA (old)", past - CA_LIFETIME, past);
    expired.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let cert = expired.self_signed(ca.issuer.key()).unwrap();
    fs::write(ca.path(), cert.pem()).unwrap();
    let e = failure(tmp.path());
    assert!(e.to_string().ends_with("it has expired"), "{e}");
    assert!(e.next_step().unwrap().contains("bandy untrust"));
}

#[test]
fn leaves_say_what_they_are_for() {
    let tmp = tempfile::tempdir().unwrap();
    let ca = LocalCa::open_or_create_in(tmp.path()).unwrap();
    let names = [
        Host::Name("localhost".into()),
        Host::Ip("::1".parse().unwrap()),
    ];
    let leaf = ca.issue(&names).unwrap();
    let (_, x) = x509_parser::parse_x509_certificate(&leaf.chain[0]).unwrap();
    assert!(!x.is_ca());
    assert_eq!(
        x.subject_alternative_name()
            .unwrap()
            .unwrap()
            .value
            .general_names
            .len(),
        2
    );
    let usage = x.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && !usage.client_auth);
    assert_eq!(
        leaf.not_after.duration_since(leaf.not_before).unwrap(),
        LEAF_LIFETIME + BACKDATED
    );
    assert!(!format!("{leaf:?}").contains("PRIVATE"));

    let client = ca.issue_client("alice").unwrap();
    let (_, x) = x509_parser::parse_x509_certificate(&client.chain[0]).unwrap();
    assert_eq!(x.subject().to_string(), "CN=alice");
    let usage = x.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth);
    for bad in ["", "a\nb", &"a".repeat(65)] {
        assert_eq!(ca.issue_client(bad).unwrap_err().kind(), Kind::Usage);
    }

    let (_, x) = x509_parser::parse_x509_certificate(ca.certificate()).unwrap();
    let constraints = x.basic_constraints().unwrap().unwrap().value;
    assert!(constraints.ca);
    assert_eq!(constraints.path_len_constraint, Some(0));
}

#[test]
fn a_clients_files() {
    let tmp = tempfile::tempdir().unwrap();
    let ca = LocalCa::open_or_create_in(tmp.path()).unwrap();
    let out = tmp.path().join("clients");
    let issued = ca.issue_client("alice").unwrap();
    let identity = issued.write(&out, "alice").unwrap();
    assert_eq!(mode(&identity.key), 0o600);
    assert_eq!(mode(&identity.cert), 0o644);
    let e = issued.write(&out, "alice").unwrap_err();
    assert!(e.to_string().ends_with("alice.pem is there already"), "{e}");
    for bad in ["", ".alice", "../alice"] {
        assert_eq!(issued.write(&out, bad).unwrap_err().kind(), Kind::Usage);
    }
}
