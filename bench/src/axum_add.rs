//! `GET /add?a=5&b=3` as one writes it with axum: a router, typed parameters, hyper beneath, one thread. It speaks HTTP/1.1 and, to
//! whoever begins with it, HTTP/2.

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::Query;
use axum::routing::get;
use axum::serve::ListenerExt;
use serde::Deserialize;
use tokio::net::TcpListener;

#[derive(Deserialize)]
struct Terms {
    a: i64,
    b: i64,
}

/// Serves until it is killed.
pub fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting tokio")?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("listening on http://127.0.0.1:0")?;
        println!(
            "listening on http://{} (add)",
            listener
                .local_addr()
                .context("asking which port was taken")?
        );
        let app = Router::new().route("/add", get(add));
        // Without it the peer is measured by the kernel's delays.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, app).await.context("serving")
    })
}

async fn add(Query(Terms { a, b }): Query<Terms>) -> String {
    format!("{}\n", a.wrapping_add(b))
}
