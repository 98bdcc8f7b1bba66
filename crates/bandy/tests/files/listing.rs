//! Listings, for people and for programs.

use bandy::http::Body;

use crate::{Site, run};

fn names(page: &str) -> Vec<&str> {
    let cells = page.split("<tr><td><a href=\"").skip(1);
    cells.filter_map(|cell| cell.split('"').next()).collect()
}

#[test]
fn a_page_in_any_order() {
    run(async {
        let site = Site::new();
        site.file("b.txt", "12")
            .file("A.txt", "123")
            .file("c.txt", "1");
        site.file("docs/x", "").file(".hidden", "");
        site.age("c.txt", std::time::Duration::from_secs(9999));
        for (query, expected) in [
            ("", ["./docs/", "./A.txt", "./b.txt", "./c.txt"]),
            (
                "?sort=name&order=desc",
                ["./docs/", "./c.txt", "./b.txt", "./A.txt"],
            ),
            ("?sort=size", ["./docs/", "./c.txt", "./b.txt", "./A.txt"]),
            (
                "?sort=size&order=desc",
                ["./docs/", "./A.txt", "./b.txt", "./c.txt"],
            ),
            (
                "?order=desc&sort=time&x",
                ["./docs/", "./b.txt", "./A.txt", "./c.txt"],
            ),
            ("?sort=%00", ["./docs/", "./A.txt", "./b.txt", "./c.txt"]),
        ] {
            let heard = site.get(&format!("/{query}")).await;
            let mut listed = names(heard.is(200).text());
            if query.contains("time") {
                // Two were written in the same instant, or nearly so.
                listed
                    .get_mut(1..3)
                    .expect("files")
                    .sort_by(|a, b| b.cmp(a));
            }
            assert_eq!(listed, expected, "{query}");
        }
        let heard = site.get("/docs/").await;
        assert_eq!(names(heard.is(200).text()), ["../", "./x"]);
        assert_eq!(heard.field("content-type"), "text/html; charset=utf-8");
        assert_eq!(heard.field("vary"), "accept");
        let head = site.ask("HEAD", "/docs/", &[], Body::empty()).await;
        assert_eq!(head.field("content-length"), heard.body.len().to_string());
        assert_eq!(head.body, "");
    });
}

#[test]
fn names_are_escaped_and_nothing_may_run() {
    run(async {
        let site = Site::new();
        let evil = "<img src=x onerror=alert(1)>\"'&.txt";
        site.file(evil, "1")
            .file("a b#c?d%e.txt", "2")
            .file("javascript:x", "3");
        let heard = site.get("/").await;
        let page = heard.is(200).text();
        assert!(!page.contains("<img") && !page.contains("<script"));
        assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;.txt</a>"));
        // Every link of the page leads to the file that it names.
        let mut contents = Vec::new();
        for href in names(page) {
            let target = href.strip_prefix('.').expect("relative");
            contents.push(site.get(target).await.is(200).text().to_owned());
        }
        contents.sort();
        assert_eq!(contents, ["1", "2", "3"]);
        let policy = heard.field("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; img-src data:; style-src 'sha256-"));
        assert!(policy.contains("form-action 'none'") && !policy.contains("unsafe"));
        assert!(!page.contains("<form"), "there is nothing to upload to");
    });
}

#[test]
fn a_folders_own_name_is_escaped_too() {
    run(async {
        let site = Site::new();
        site.file("<b>/x", "");
        let heard = site.get("/%3Cb%3E/").await;
        assert!(heard.is(200).text().contains("<h1>/&lt;b&gt;/</h1>"));
    });
}

#[test]
fn json_for_who_asks() {
    run(async {
        let site = Site::new();
        site.file("a\"b.txt", "12").file("docs/x", "");
        let accept = [("accept", "application/json")];
        let heard = site.get_with("/", &accept).await;
        assert_eq!(heard.is(200).field("content-type"), "application/json");
        let json: serde_json::Value = serde_json::from_slice(&heard.body).expect("JSON");
        assert_eq!(json["path"], "/");
        assert_eq!(json["complete"], true);
        assert_eq!(json["entries"][0]["name"], "docs");
        assert_eq!(json["entries"][0]["type"], "folder");
        assert_eq!(json["entries"][0]["href"], "./docs/");
        assert_eq!(json["entries"][1]["name"], "a\"b.txt");
        assert_eq!(json["entries"][1]["size"], 2);
        assert_eq!(json["entries"][1]["href"], "./a%22b.txt");
        let modified = json["entries"][1]["modified"].as_str().expect("a time");
        assert!(modified.ends_with('Z'), "{modified}");
        for (accept, media_type) in [
            (
                "text/html, application/json;q=0.5",
                "text/html; charset=utf-8",
            ),
            ("*/*", "text/html; charset=utf-8"),
            ("application/*, text/html;q=0.1", "application/json"),
        ] {
            let heard = site.get_with("/", &[("accept", accept)]).await;
            assert_eq!(heard.field("content-type"), media_type, "{accept}");
        }
    });
}

#[test]
fn no_listing_where_none_is_wanted() {
    run(async {
        let site = Site::with(|options| options.listing = false);
        site.file("a/b", "");
        site.get("/a/").await.is(404);
        site.get("/").await.is(404);
    });
}
