//! Nothing but the root: links, pipes, spellings.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use bandy::http::Body;
use bandy::services::files::{Files, Options};
use proptest::prelude::*;

use crate::{Site, run};

/// A root with every way out that a file system has.
fn site_with_ways_out() -> Site {
    let site = Site::writable();
    site.file("docs/a.txt", "inside");
    let outside = site.path("..").canonicalize().expect("a path");
    symlink("../secret", site.path("out")).expect("a link");
    symlink(outside.join("secret"), site.path("absolute")).expect("a link");
    symlink("..", site.path("up")).expect("a link");
    symlink("/", site.path("slash")).expect("a link");
    symlink("../../secret", site.path("docs/out")).expect("a link");
    symlink("/proc/self/root", site.path("magic")).expect("a link");
    symlink("loop", site.path("loop")).expect("a link");
    symlink("docs/a.txt", site.path("in")).expect("a link");
    symlink("docs", site.path("folder")).expect("a link");
    symlink("../root/docs/a.txt", site.path("out-and-in")).expect("a link");
    site
}

#[test]
fn links_lead_inside_only() {
    run(async {
        let site = site_with_ways_out();
        for target in ["/in", "/folder/a.txt"] {
            assert_eq!(site.get(target).await.is(200).text(), "inside", "{target}");
        }
        let secret = site.path("../secret").canonicalize().expect("a path");
        let below_slash = format!("/slash{}", secret.display());
        for target in [
            "/out",
            "/absolute",
            "/up/secret",
            "/up/",
            "/slash/etc/passwd",
            &below_slash,
            "/docs/out",
            "/magic/etc/passwd",
            "/loop",
            "/out-and-in",
        ] {
            site.get(target).await.is(404);
        }
        let listed = site.get_with("/", &[("accept", "application/json")]).await;
        for name in ["out", "absolute", "up", "slash", "magic", "loop"] {
            assert!(!listed.text().contains(&format!("\"{name}\"")), "{name}");
        }
        assert!(listed.text().contains("\"folder\""));
    });
}

#[test]
fn writing_does_not_follow_links_out_either() {
    run(async {
        let site = site_with_ways_out();
        for target in ["/up/secret", "/slash/tmp/x", "/up/new"] {
            let put = site.put(target, &[], "changed").await;
            assert!(put.status.is_client_error(), "{target}: {put:?}");
            let deleted = site.ask("DELETE", target, &[], Body::empty()).await;
            assert!(deleted.status.is_client_error(), "{target}: {deleted:?}");
        }
        // The link is replaced, and what it led to is not touched.
        site.put("/out", &[], "mine").await.is(201);
        assert_eq!(site.read("out"), "mine");
        assert_eq!(site.read("../secret"), "SECRET");
        // Inside it is the same.
        site.put("/in", &[], "mine").await.is(204);
        assert_eq!(site.read("docs/a.txt"), "inside");
        site.ask("DELETE", "/folder", &[], Body::empty())
            .await
            .is(204);
        assert_eq!(site.read("docs/a.txt"), "inside");
        assert!(!site.path("../new").exists());
    });
}

#[test]
fn pipes_sockets_and_devices_are_not_files() {
    run(async {
        let site = Site::writable();
        let made = std::process::Command::new("mkfifo")
            .arg(site.path("pipe"))
            .status();
        assert!(made.expect("mkfifo").success());
        let _listener = UnixListener::bind(site.path("socket")).expect("a socket");
        for target in ["/pipe", "/socket", "/pipe/"] {
            site.get(target).await.is(404);
        }
        site.put("/pipe", &[], "x").await.is(409);
        site.ask("DELETE", "/pipe", &[], Body::empty())
            .await
            .is(404);
        let listed = site.get("/").await;
        assert!(!listed.text().contains("pipe") && !listed.text().contains("socket"));
    });
}

#[test]
fn a_root_that_is_none() {
    let site = Site::new();
    site.file("file", "");
    for (root, hint) in [("nowhere", "does it exist?"), ("file", "give a folder")] {
        let error = Files::new(Options::new(site.path(root))).expect_err("no folder");
        assert!(
            error.next_step().is_some_and(|h| h.starts_with(hint)),
            "{error:?}"
        );
    }
    let mut options = Options::new(site.path(""));
    options.index = vec!["../secret".to_owned()];
    Files::new(options.clone()).expect_err("not a name");
    options.index.clear();
    options.cache_control = Some("a\nb".to_owned());
    Files::new(options).expect_err("not a value");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// However a path is spelled, the file beside the root is not what comes back.
    #[test]
    fn no_spelling_leaves_the_root(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "/", "//", "..", ".", "%2e", "%2E%2e", "%252e%252e", "%2f", "%5c", "\\", "%00", "secret", "root",
                "docs", "up", "out", "slash", "magic", "folder", "in", "absolute", "a.txt", "%73ecret", "%c0%ae", ";",
                "%", "proc/self/cwd", "%ff",
            ]),
            0..10,
        ),
        method in prop::sample::select(vec!["GET", "HEAD", "PUT", "DELETE"]),
    ) {
        let target = format!("/{}", pieces.concat());
        if target.parse::<bandy::http::Uri>().is_ok() {
            run(async {
                let site = site_with_ways_out();
                let heard = site.ask(method, &target, &[], Body::from("CHANGED")).await;
                assert!(!heard.body.windows(6).any(|w| w == b"SECRET"), "{target}");
                assert!(!heard.body.windows(5).any(|w| w == b"root:"), "{target}");
                assert_eq!(site.read("../secret"), "SECRET", "{method} {target}");
                assert_eq!(site.names("..").len(), 2, "{method} {target}");
            });
        }
    }
}
