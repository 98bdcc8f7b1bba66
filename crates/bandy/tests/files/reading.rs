//! Files as they are read: fields, conditions, parts, encodings, the cache.

use std::time::{Duration, Instant};

use bandy::http::{Body, Method};
use futures_util::FutureExt;
use proptest::prelude::*;

use crate::{Site, run};

#[test]
fn a_file_and_what_is_said_of_it() {
    run(async {
        let site = Site::with(|options| options.cache_control = Some("max-age=60".to_owned()));
        site.file("a b.html", "<p>Hello</p>");
        let heard = site.get("/a%20b.html").await;
        assert_eq!(heard.is(200).text(), "<p>Hello</p>");
        assert_eq!(heard.field("content-type"), "text/html; charset=utf-8");
        assert_eq!(heard.field("cache-control"), "max-age=60");
        assert_eq!(heard.field("accept-ranges"), "bytes");
        assert_eq!(heard.field("x-content-type-options"), "nosniff");
        assert!(heard.field("etag").starts_with('"'), "a strong tag");
        assert!(heard.field("last-modified").ends_with(" GMT"));
        let head = site.ask("HEAD", "/a%20b.html", &[], Body::empty()).await;
        assert_eq!(head.is(200).body, "");
        assert_eq!(head.field("content-length"), "12");
        assert_eq!(head.field("etag"), heard.field("etag"));
        site.file("empty", "");
        assert_eq!(site.get("/empty").await.is(200).body, "");
    });
}

#[test]
fn what_is_not_there_and_what_may_not_be_asked() {
    run(async {
        let site = Site::with(|options| options.listing = false);
        site.file("a.txt", "a")
            .file(".env", "hidden")
            .file("docs/.git/x", "hidden");
        for target in [
            "/b.txt",
            "/a.txt/",
            "/a.txt/b",
            "/.env",
            "/%2eenv",
            "/docs/.git/x",
            "/docs/",
            "/",
            "//a.txt",
            &format!("/{}", "a".repeat(300)),
            &format!("/{}", "a/".repeat(3000)),
        ] {
            site.get(target).await.is(404);
        }
        for target in [
            "/../secret",
            "/%2e%2e/secret",
            "/a%2ftxt",
            "/%00",
            "/%",
            "/a%5Cb",
        ] {
            site.get(target).await.is(400);
        }
        for method in ["PUT", "POST", "DELETE", "PATCH", "TRACE", "BREW"] {
            let heard = site.ask(method, "/a.txt", &[], Body::empty()).await;
            assert_eq!(
                heard.is(405).field("allow"),
                "GET, HEAD, OPTIONS",
                "{method}"
            );
        }
        let heard = site.ask("OPTIONS", "/a.txt", &[], Body::empty()).await;
        assert_eq!(heard.is(204).field("allow"), "GET, HEAD, OPTIONS");
        let heard = site.ask("OPTIONS", "*", &[], Body::empty()).await;
        heard.is(204);
    });
    run(async {
        let site = Site::with(|options| options.hidden = true);
        site.file(".env", "shown").file(".bandy-x.part", "never");
        assert_eq!(site.get("/.env").await.is(200).text(), "shown");
        site.get("/.bandy-x.part").await.is(404);
    });
}

#[test]
fn folders() {
    run(async {
        let site = Site::with(|options| options.index.push("index.txt".to_owned()));
        site.file("index.txt", "the root's")
            .file("docs/index.html", "the docs'");
        site.file("docs/index.txt", "not this one")
            .file("evil.example/x", "");
        assert_eq!(site.get("/").await.is(200).text(), "the root's");
        let docs = site.get("/docs/").await;
        assert_eq!(docs.is(200).text(), "the docs'");
        assert_eq!(docs.field("content-type"), "text/html; charset=utf-8");
        for (target, location) in [
            ("/docs", "./docs/"),
            ("/%64ocs?sort=size&x=//evil", "./docs/?sort=size&x=//evil"),
            ("/evil.example", "./evil.example/"),
        ] {
            assert_eq!(site.get(target).await.is(308).field("location"), location);
        }
        for target in [
            "//evil.example",
            "//evil.example/%2e%2e",
            "/%2fevil.example",
        ] {
            let heard = site.get(target).await;
            assert!(heard.status.is_client_error(), "{target}: {heard:?}");
        }
        // Its name could be taken for a scheme.
        std::fs::create_dir(site.path("javascript:alert(1)")).expect("a folder");
        let heard = site.get("/javascript:alert(1)").await;
        assert_eq!(
            heard.is(308).field("location"),
            "./javascript%3Aalert%281%29/"
        );
    });
}

#[test]
fn conditions_and_parts() {
    run(async {
        let site = Site::new();
        site.file("a.txt", "0123456789");
        let whole = site.get("/a.txt").await;
        let (etag, modified) = (whole.field("etag"), whole.field("last-modified"));
        let not_modified = site.get_with("/a.txt", &[("if-none-match", etag)]).await;
        assert_eq!(not_modified.is(304).body, "");
        assert_eq!(not_modified.field("etag"), etag);
        assert_eq!(not_modified.field("content-type"), "");
        let range = ("range", "bytes=2-4");
        type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str);
        let cases: &[Case<'_>] = &[
            (&[("if-modified-since", modified)], 304, ""),
            (&[("if-match", "\"other\"")], 412, ""),
            (&[("if-match", etag)], 200, "0123456789"),
            (&[range], 206, "234"),
            (&[("range", "bytes=-2")], 206, "89"),
            (&[("range", "bytes=10-")], 416, ""),
            (&[("range", "bytes=0-5,5-9")], 200, "0123456789"),
            (&[range, range], 200, "0123456789"),
            (&[range, ("if-range", etag)], 206, "234"),
            (&[range, ("if-range", modified)], 206, "234"),
            (&[range, ("if-range", "\"other\"")], 200, "0123456789"),
            (&[range, ("if-none-match", etag)], 304, ""),
            (
                &[("range", "bytes=99-"), ("if-range", "\"other\"")],
                200,
                "0123456789",
            ),
        ];
        for (fields, status, body) in cases {
            let heard = site.get_with("/a.txt", fields).await;
            heard.is(*status);
            if *status < 400 {
                assert_eq!(heard.text(), *body, "{fields:?}");
            }
        }
        let one = site.get_with("/a.txt", &[range]).await;
        assert_eq!(one.field("content-range"), "bytes 2-4/10");
        assert_eq!(one.field("content-type"), "text/plain; charset=utf-8");
        let none = site.get_with("/a.txt", &[("range", "bytes=10-")]).await;
        assert_eq!(none.field("content-range"), "bytes */10");
        // A HEAD has no parts.
        let head = site.ask("HEAD", "/a.txt", &[range], Body::empty()).await;
        assert_eq!(head.is(200).field("content-length"), "10");
    });
}

#[test]
fn many_parts() {
    run(async {
        let site = Site::new();
        let large: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        site.file("small.txt", "0123456789")
            .file("large.bin", &large);
        let parts = [("range", "bytes=0-1, 20-, -2")];
        let heard = site.get_with("/small.txt", &parts).await;
        let media_type = heard.is(206).field("content-type").to_owned();
        let boundary = media_type
            .strip_prefix("multipart/byteranges; boundary=")
            .expect("one");
        let expected = format!(
            "\r\n--{boundary}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-range: bytes 0-1/10\r\n\r\n01\
             \r\n--{boundary}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-range: bytes 8-9/10\r\n\r\n89\
             \r\n--{boundary}--\r\n"
        );
        assert_eq!(heard.text(), expected);
        let request = crate::request(
            "GET",
            "/large.bin",
            &[("range", "bytes=5-4,0-")],
            Body::empty(),
        );
        assert_eq!(site.response(request).await.status(), 200);
        let fields = [("range", "bytes=100000-199999,0-9")];
        let request = crate::request("GET", "/large.bin", &fields, Body::empty());
        let response = site.response(request).await;
        let said = response.body().len_hint();
        let body = response.into_body().collect(1 << 20).await.expect("a body");
        assert_eq!(said, Some(body.len() as u64));
        let has = |part: &[u8]| body.windows(part.len()).any(|w| w == part);
        assert!(has(&large[100_000..]) && has(b"content-range: bytes 0-9/200000"));
    });
}

#[test]
fn compressed_copies() {
    run(async {
        let site = Site::new();
        site.file("app.js", "plain")
            .file("app.js.gz", "gzip")
            .file("app.js.br", "br");
        site.file("photo.png", "png").file("photo.png.gz", "gzip");
        site.file("old.css", "new").file("old.css.gz", "old");
        site.age("old.css.gz", Duration::from_secs(7200));
        let mut tags = Vec::new();
        for (target, accept, body, coding) in [
            ("/app.js", "", "plain", ""),
            ("/app.js", "gzip, br", "br", "br"),
            ("/app.js", "gzip", "gzip", "gzip"),
            ("/app.js", "br;q=0.1, gzip", "gzip", "gzip"),
            ("/app.js", "zstd", "plain", ""),
            ("/app.js.gz", "gzip", "gzip", ""),
            ("/photo.png", "gzip", "png", ""),
            ("/old.css", "gzip", "new", ""),
        ] {
            let heard = site.get_with(target, &[("accept-encoding", accept)]).await;
            assert_eq!(heard.is(200).text(), body, "{target} {accept}");
            assert_eq!(heard.field("content-encoding"), coding);
            if target == "/app.js" {
                assert_eq!(heard.field("vary"), "accept-encoding");
                assert_eq!(
                    heard.field("content-type"),
                    "text/javascript; charset=utf-8"
                );
                tags.push(heard.field("etag").to_owned());
                let tag = [
                    ("accept-encoding", accept),
                    ("if-none-match", heard.field("etag")),
                ];
                site.get_with(target, &tag).await.is(304);
            } else {
                assert_eq!(heard.field("vary"), "");
            }
        }
        tags.sort();
        tags.dedup();
        assert_eq!(tags.len(), 3, "a tag for each encoding");
    });
    run(async {
        let site = Site::with(|options| options.precompressed = false);
        site.file("app.js", "plain").file("app.js.gz", "gzip");
        let heard = site
            .get_with("/app.js", &[("accept-encoding", "gzip")])
            .await;
        assert_eq!(heard.is(200).text(), "plain");
    });
}

/// Asks until the answer is this; fails if another than `before` comes on the way.
async fn becomes(site: &Site, target: &str, before: &str, after: &str) -> Duration {
    let since = Instant::now();
    loop {
        let heard = site.get(target).await;
        match heard.is(200).text() {
            text if text == after => return since.elapsed(),
            text => assert_eq!(text, before),
        }
        assert!(
            since.elapsed() < bandy_testkit::PATIENCE,
            "it stays {before:?}"
        );
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_file_that_changed_is_seen() {
    run(async {
        let site = Site::new();
        site.file("a.txt", "before");
        let replace = |n: u32| {
            let content = format!("state {n}");
            std::fs::write(site.path("new"), &content).expect("written");
            std::fs::rename(site.path("new"), site.path("a.txt")).expect("renamed");
            content
        };
        let mut last = "before".to_owned();
        let mut was_cached = false;
        for n in 0..3 {
            let since = Instant::now();
            while since.elapsed() < Duration::from_millis(60) {
                assert_eq!(site.get("/a.txt").await.is(200).text(), last);
                tokio::task::yield_now().await;
            }
            let next = replace(n);
            let took = becomes(&site, "/a.txt", &last, &next).await;
            // Who opens the file each time sees it at once.
            was_cached |= took > Duration::from_millis(100);
            assert!(took < Duration::from_secs(5), "{took:?}");
            last = next;
        }
        assert!(was_cached, "the cache was never used");
        std::fs::remove_file(site.path("a.txt")).expect("removed");
        let since = Instant::now();
        while site.get("/a.txt").await.status != 404 {
            assert!(since.elapsed() < Duration::from_secs(5));
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn what_is_in_memory_is_answered_at_once() {
    run(async {
        let site = Site::new();
        site.file("a.txt", "here");
        let since = Instant::now();
        loop {
            let asked = crate::request("GET", "/a.txt", &[], Body::empty());
            let answer = site.response(asked);
            // Ready when it is first looked at: it waited for nobody, no other thread among them.
            if let Some(response) = answer.now_or_never() {
                assert_eq!(response.status(), 200);
                break;
            }
            site.get("/a.txt").await.is(200);
            assert!(
                since.elapsed() < bandy_testkit::PATIENCE,
                "it is never kept"
            );
        }
    });
}

#[test]
fn two_states_never_share_a_strong_tag() {
    run(async {
        let site = Site::with(|options| options.cache_bytes = 0);
        let mut strong = std::collections::HashMap::new();
        for n in 0..300 {
            // Written in place: the same inode and length, and often the same tick.
            let content = format!("{n:04}");
            std::fs::write(site.path("a.txt"), &content).expect("written");
            let heard = site.get("/a.txt").await;
            assert_eq!(heard.is(200).text(), content);
            if let Some(other) = strong.insert(heard.field("etag").to_owned(), content.clone()) {
                assert!(
                    heard.field("etag").starts_with("W/"),
                    "{other} and {content}"
                );
            }
        }
    });
}

#[test]
fn a_reader_of_a_large_file_has_the_file_that_it_began() {
    run(async {
        let site = Site::new();
        let (old, new) = (vec![b'o'; 500_000], vec![b'n'; 400_000]);
        site.file("large", &old);
        let request = crate::request(Method::GET.as_str(), "/large", &[], Body::empty());
        let response = site.response(request).await;
        site.file("other", &new);
        std::fs::rename(site.path("other"), site.path("large")).expect("renamed");
        let body = response.into_body().collect(1 << 20).await.expect("a body");
        assert_eq!(body, old);
        assert_eq!(site.get("/large").await.is(200).body, new);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked for, and however the file is held, the bytes are those of a slice.
    #[test]
    fn parts_are_slices(
        len in prop_oneof![0..50_usize, 65_530..65_545_usize, 100_000..100_010_usize],
        first in 0..100_020_usize,
        more in 0..100_020_usize,
    ) {
        run(async {
            let site = Site::new();
            let content: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            site.file("a", &content);
            let line = format!("bytes={first}-{}", first + more);
            let heard = site.get_with("/a", &[("range", line.as_str())]).await;
            if first >= len {
                heard.is(416);
                return;
            }
            let last = (first + more).min(len - 1);
            assert_eq!(heard.is(206).body, &content[first..=last]);
            assert_eq!(heard.field("content-range"), format!("bytes {first}-{last}/{len}"));
        });
    }
}
