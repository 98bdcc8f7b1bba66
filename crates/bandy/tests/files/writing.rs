//! PUT, POST and DELETE: whole, or not at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bandy::Service;
use bandy::error::{Error, Kind, Side};
use bandy::http::Body;
use bytes::Bytes;

use crate::{Site, request, run};

#[test]
fn put_get_replace_delete() {
    run(async {
        let site = Site::writable();
        let put = site.put("/a.txt", &[], "one").await;
        let first = put.is(201).field("etag").to_owned();
        assert!(first.starts_with('"'), "{first}");
        assert_eq!(site.get("/a.txt").await.is(200).text(), "one");
        // What this service writes is seen at once, cached or not.
        for n in 0..50 {
            let text = format!("state {n}");
            site.put("/a.txt", &[], text.clone()).await.is(204);
            assert_eq!(site.get("/a.txt").await.is(200).text(), text);
        }
        let deleted = site.ask("DELETE", "/a.txt", &[], Body::empty()).await;
        assert_eq!(deleted.is(204).body, "");
        site.get("/a.txt").await.is(404);
        site.ask("DELETE", "/a.txt", &[], Body::empty())
            .await
            .is(404);
        assert_eq!(site.names(""), [""; 0]);
        let allow = site.ask("OPTIONS", "/", &[], Body::empty()).await;
        assert_eq!(
            allow.field("allow"),
            "DELETE, GET, HEAD, OPTIONS, POST, PUT"
        );
    });
}

#[test]
fn what_is_written_on_one_thread_is_seen_on_all() {
    let site = &Site::writable();
    let meet = &std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for n in 0..12 {
                    let state = format!("state {n}");
                    if thread == n % 4 {
                        run(async {
                            let put = site.put("/a", &[], state.clone()).await;
                            assert!(put.status.is_success(), "{put:?}");
                            // Old enough to be kept by all.
                            while site.get("/a").await.field("etag").starts_with("W/") {
                                tokio::task::yield_now().await;
                            }
                        });
                    }
                    meet.wait();
                    for _ in 0..5 {
                        run(async { assert_eq!(site.get("/a").await.is(200).text(), state) });
                    }
                    meet.wait();
                }
            });
        }
    });
}

#[test]
fn what_is_kept_of_a_file_that_is_replaced() {
    use std::os::unix::fs::PermissionsExt;
    run(async {
        let site = Site::writable();
        site.file("a", "old");
        let permissions = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(site.path("a"), permissions).expect("set");
        site.put("/a", &[], "new").await.is(204);
        let mode = site
            .path("a")
            .metadata()
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o640);
    });
}

#[test]
fn conditions_of_a_put() {
    run(async {
        let site = Site::writable();
        site.put("/a", &[("if-match", "*")], "x").await.is(412);
        let put = site.put("/a", &[("if-none-match", "*")], "one").await;
        let etag = put.is(201).field("etag").to_owned();
        site.put("/a", &[("if-none-match", "*")], "x").await.is(412);
        site.put("/a", &[("if-match", "\"other\"")], "x")
            .await
            .is(412);
        // At once, while the clock may still show the time of the first.
        let put = site.put("/a", &[("if-match", &etag)], "two").await;
        let second = put.is(204).field("etag").to_owned();
        assert_ne!(etag, second);
        site.put("/a", &[("if-match", &etag)], "x").await.is(412);
        let delete = [("if-match", etag.as_str())];
        site.ask("DELETE", "/a", &delete, Body::empty())
            .await
            .is(412);
        assert_eq!(site.names(""), ["a"]);
        assert_eq!(site.read("a"), "two");
    });
}

#[test]
fn places_where_no_file_can_be() {
    run(async {
        let site = Site::writable();
        site.file("folder/x", "").file("file", "kept");
        for (target, status) in [
            ("/nowhere/a", 409),
            ("/file/a", 409),
            ("/folder", 409),
            ("/folder/", 409),
            ("/", 409),
            ("/.hidden", 404),
            ("/.bandy-x", 404),
            ("/../a", 400),
            ("/a%2fb", 400),
        ] {
            site.put(target, &[], "x").await.is(status);
        }
        site.put("/a", &[("content-encoding", "gzip")], "x")
            .await
            .is(415);
        for (target, status) in [
            ("/folder/", 409),
            ("/folder", 409),
            ("/", 403),
            ("/file/", 404),
        ] {
            site.ask("DELETE", target, &[], Body::empty())
                .await
                .is(status);
        }
        site.ask("DELETE", "/folder/x", &[], Body::empty())
            .await
            .is(204);
        site.ask("DELETE", "/folder/", &[], Body::empty())
            .await
            .is(204);
        assert_eq!(site.names(""), ["file"]);
        assert_eq!(site.read("file"), "kept");
    });
}

#[test]
fn too_much_is_not_kept() {
    run(async {
        let site = Site::writable();
        site.file("a", "kept");
        site.put("/a", &[], vec![0; (1 << 20) + 1]).await.is(413);
        // Without a length it shows on the way.
        let (sender, body) = Body::channel(1);
        let sending = async {
            for _ in 0..=64 {
                if sender
                    .send(Ok(Bytes::from(vec![0; 16 << 10])))
                    .await
                    .is_err()
                {
                    break;
                }
            }
            drop(sender);
        };
        let (heard, ()) = tokio::join!(site.put("/a", &[], body), sending);
        heard.is(413);
        assert_eq!(site.read("a"), "kept");
        nothing_else(&site, &["a"]);
        site.put("/a", &[], vec![b'x'; 1 << 20]).await.is(204);
        assert_eq!(site.read("a").len(), 1 << 20);
    });
}

/// What is left behind is removed by a thread; nobody tells us when.
fn nothing_else(site: &Site, expected: &[&str]) {
    bandy_testkit::eventually("what is left to be removed", || match site.names("") {
        names if names == expected => Ok(()),
        names => Err(names.join(", ")),
    });
}

#[test]
fn a_body_that_breaks_off_leaves_nothing() {
    run(async {
        let site = Site::writable();
        site.file("a", "kept");
        let (sender, body) = Body::channel(1);
        let breaking_off = async {
            let data = Bytes::from(vec![0; 300 << 10]);
            sender.send(Ok(data)).await.expect("taken");
            let gone = Error::new(Kind::Closed, Side::Downstream, "reading a body");
            sender.send(Err(gone)).await.expect("taken");
        };
        let put = site.files.call(request("PUT", "/a", &[], body));
        let (answer, ()) = tokio::join!(put, breaking_off);
        assert_eq!(answer.expect_err("a failure").kind(), Kind::Closed);
        nothing_else(&site, &["a"]);
        // The client goes away, and the server drops the request.
        let (sender, body) = Body::channel(1);
        {
            let put = site.files.call(request("PUT", "/a", &[], body));
            let mut put = std::pin::pin!(put);
            let data = Bytes::from(vec![0; 300 << 10]);
            let begin = async {
                sender.send(Ok(data.clone())).await.expect("taken");
                sender.send(Ok(data.clone())).await.expect("taken");
                sender.send(Ok(data)).await.expect("taken");
            };
            tokio::select! {
                _ = &mut put => panic!("the body has not ended"),
                () = begin => {}
            }
            assert_eq!(site.names("").len(), 2, "it is being written");
        }
        nothing_else(&site, &["a"]);
        assert_eq!(site.read("a"), "kept");
    });
}

#[test]
fn a_reader_sees_one_state_or_the_other() {
    let site = Site::writable();
    let state = |n: u8| vec![b'a' + n % 26; 100_000 + usize::from(n)];
    std::fs::write(site.path("a"), state(0)).expect("written");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !is_over.load(Ordering::Relaxed) || seen == 0 {
                let content = std::fs::read(site.path("a")).expect("always there");
                let n = u8::try_from(content.len() - 100_000).expect("a whole state");
                assert_eq!(content, state(n));
                seen += 1;
            }
        });
        run(async {
            for n in 1..60 {
                site.put("/a", &[], state(n)).await.is(204);
                assert_eq!(site.get("/a").await.is(200).body, state(n));
            }
        });
        is_over.store(true, Ordering::Relaxed);
        reader.join().expect("only whole states");
    });
    assert_eq!(site.names(""), ["a"]);
}

#[test]
fn of_many_who_create_one_does() {
    run(async {
        let site = Site::writable();
        let fields = [("if-none-match", "*")];
        let puts = (0..8).map(|n| site.put("/a", &fields, format!("{n}")));
        let heard = futures_util::future::join_all(puts).await;
        let created = heard.iter().filter(|h| h.status == 201).count();
        let refused = heard.iter().filter(|h| h.status == 412).count();
        assert_eq!((created, refused), (1, 7));
        nothing_else(&site, &["a"]);
    });
}

#[test]
fn other_sites_pages_may_not_write() {
    run(async {
        let site = Site::writable();
        site.file("a", "kept");
        let foreign: [&[(&str, &str)]; 3] = [
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[
                ("host", "files.example"),
                ("origin", "https://evil.example"),
            ],
        ];
        for fields in foreign {
            for (method, target) in [("PUT", "/a"), ("DELETE", "/a"), ("POST", "/")] {
                let heard = site.ask(method, target, fields, Body::empty()).await;
                heard.is(403);
            }
        }
        let own = [("host", "files.example"), ("sec-fetch-site", "same-origin")];
        site.put("/a", &own, "changed").await.is(204);
    });
}

fn form(parts: &[(&str, Option<&str>, &str)]) -> String {
    let mut out = String::new();
    for (name, file, content) in parts {
        let file = file
            .map(|f| format!("; filename=\"{f}\""))
            .unwrap_or_default();
        out.push_str(&format!(
            "--XX\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
        ));
    }
    out + "--XX--\r\n"
}

const FORM: [(&str, &str); 1] = [("content-type", "multipart/form-data; boundary=XX")];

#[test]
fn a_form_with_files() {
    run(async {
        let site = Site::writable();
        let page = site.get("/").await;
        assert!(page.text().contains("enctype=\"multipart/form-data\""));
        assert!(
            page.field("content-security-policy")
                .contains("form-action 'self'")
        );
        site.file("docs/old.txt", "old");
        let files = form(&[
            ("file", Some("a.txt"), "A"),
            ("file", Some("C:\\dir\\b 1.txt"), "B"),
            ("file", Some("../../c.txt"), "C"),
            ("file", Some(""), ""),
        ]);
        let heard = site.ask("POST", "/docs/", &FORM, files.into()).await;
        assert_eq!(heard.is(303).field("location"), "./");
        assert_eq!(site.names("docs"), ["a.txt", "b 1.txt", "c.txt", "old.txt"]);
        assert_eq!(site.read("docs/b 1.txt"), "B");
        // One that is there is not replaced unasked, and then none is put.
        let again = [
            ("file", Some("new.txt"), "N"),
            ("file", Some("old.txt"), "new"),
        ];
        let heard = site.ask("POST", "/docs/", &FORM, form(&again).into()).await;
        assert!(heard.is(409).text().contains("old.txt"));
        assert_eq!(site.read("docs/old.txt"), "old");
        let replace = [&[("replace", None, "yes")], &again[..]].concat();
        site.ask("POST", "/docs/", &FORM, form(&replace).into())
            .await
            .is(303);
        assert_eq!(site.read("docs/old.txt"), "new");
        bandy_testkit::eventually("what is left to be removed", || {
            match site.names("docs").len() {
                5 => Ok(()),
                n => Err(n),
            }
        });
    });
}

#[test]
fn forms_that_are_refused() {
    run(async {
        let site = Site::writable();
        for name in [
            ".htaccess",
            "..",
            "a\u{7f}b",
            "/",
            ".bandy-x",
            &"a".repeat(300),
        ] {
            let body = form(&[("file", Some(name), "x")]);
            let heard = site.ask("POST", "/", &FORM, body.into()).await;
            assert!(heard.status.is_client_error(), "{name:?}: {heard:?}");
        }
        let one = form(&[("file", Some("a"), "x")]);
        let cut = one.get(..one.len() - 12).expect("shorter").to_owned();
        site.ask("POST", "/", &FORM, cut.into()).await.is(400);
        site.ask("POST", "/", &FORM, form(&[]).into()).await.is(400);
        site.ask("POST", "/", &[], one.clone().into()).await.is(415);
        site.ask("POST", "/a", &FORM, one.into()).await.is(405);
        let many: Vec<_> = (0..101).map(|n| format!("f{n}")).collect();
        let many: Vec<_> = many
            .iter()
            .map(|n| ("file", Some(n.as_str()), ""))
            .collect();
        site.ask("POST", "/", &FORM, form(&many).into())
            .await
            .is(413);
        let large = "x".repeat(2 << 20);
        let large = form(&[("file", Some("a"), large.as_str())]);
        site.ask("POST", "/", &FORM, large.into()).await.is(413);
        nothing_else(&site, &[]);
    });
}

#[test]
fn an_upload_that_breaks_off_goes_on() {
    run(async {
        let site = Site::writable();
        let content: Vec<u8> = (0..400_000_u32).map(|n| (n % 253) as u8).collect();
        let offset = async || {
            let head = site.ask("HEAD", "/big", &[], Body::empty()).await;
            assert_eq!(head.status, 404);
            head.field("upload-offset")
                .parse::<usize>()
                .expect("a number")
        };
        assert_eq!(offset().await, 0);
        let (sender, body) = Body::channel(1);
        let breaking_off = async {
            let data = Bytes::copy_from_slice(&content[..300_000]);
            sender.send(Ok(data)).await.expect("taken");
            let gone = Error::new(Kind::Closed, Side::Downstream, "reading a body");
            sender.send(Err(gone)).await.expect("taken");
        };
        let whole = [("content-range", "bytes 0-399999/400000")];
        let put = site.files.call(request("PUT", "/big", &whole, body));
        let (answer, ()) = tokio::join!(put, breaking_off);
        answer.expect_err("it broke off");
        let at = offset().await;
        assert_eq!(at, 300_000);
        site.get("/big").await.is(404);
        // Elsewhere than where it broke off is refused, with the place.
        let wrong = [("content-range", "bytes 5-9/400000")];
        let heard = site.put("/big", &wrong, "56789").await;
        assert_eq!(heard.is(409).field("upload-offset"), "300000");
        let part = [("content-range", "bytes 300000-349999/400000")];
        let heard = site.put("/big", &part, content[at..350_000].to_vec()).await;
        assert_eq!(heard.is(202).field("upload-offset"), "350000");
        let rest = [("content-range", "bytes 350000-399999/400000")];
        site.put("/big", &rest, content[350_000..].to_vec())
            .await
            .is(201);
        assert_eq!(site.get("/big").await.is(200).body, content);
        assert_eq!(site.names(""), ["big"]);
        // What curl sends at first, and again when the file is there.
        site.put("/big", &[("content-range", "bytes 0-2/3")], "new")
            .await
            .is(204);
        assert_eq!(site.get("/big").await.is(200).text(), "new");
    });
}

#[test]
fn parts_that_make_no_sense() {
    run(async {
        let site = Site::writable();
        for (range, body, status) in [
            ("bytes */3", "abc", 400),
            ("bytes 0-2/*", "abc", 400),
            ("bytes 2-0/3", "abc", 400),
            ("bytes 0-3/3", "abcd", 400),
            ("bytes 0-9/10", "abc", 400),
            ("bytes 0-2/99999999999", "abc", 413),
            ("bytes 1-2/3", "bc", 409),
        ] {
            let heard = site.put("/a", &[("content-range", range)], body).await;
            heard.is(status);
        }
        let fields = [("content-range", "bytes 0-2/3"), ("if-match", "*")];
        site.put("/a", &fields, "abc").await.is(412);
        site.get("/a").await.is(404);
    });
}

#[test]
fn one_upload_of_a_file_at_a_time() {
    run(async {
        let site = Site::writable();
        let (sender, body) = Body::channel(1);
        let whole = [("content-range", "bytes 0-5/6")];
        let first = site.put("/a", &whole, body);
        let second = async {
            sender
                .send(Ok(Bytes::from_static(b"abc")))
                .await
                .expect("taken");
            sender
                .send(Ok(Bytes::from_static(b"def")))
                .await
                .expect("taken");
            site.put("/a", &whole, "ABCDEF").await.is(409);
            drop(sender);
        };
        let (first, ()) = tokio::join!(first, second);
        first.is(201);
        assert_eq!(site.read("a"), "abcdef");
    });
}

#[test]
fn what_was_left_long_ago_is_removed() {
    run(async {
        let site = Site::writable();
        site.file(".bandy-old.part", "left")
            .file(".bandy-new.part", "under way");
        site.age(".bandy-old.part", Duration::from_secs(25 * 60 * 60));
        site.put("/a", &[], "x").await.is(201);
        assert_eq!(site.names(""), [".bandy-new.part", "a"]);
    });
}
