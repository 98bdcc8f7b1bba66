//! IRC over WebSocket, for clients in pages: each message is a line.

use bandy::services::chat::irc::SUBPROTOCOL;
use bandy::services::{self, Needs, Spec};
use bandy::{Server, endpoint::Scheme};
use bandy_testkit::within;
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::{accounts, quick};

type Socket = WebSocketStream<tokio::net::TcpStream>;

/// A WebSocket, and what the server agreed to speak on it.
async fn connect(url: &str, protocols: &str) -> (Socket, Option<String>) {
    let mut request = url.into_client_request().expect("a URL");
    let wanted = protocols.parse().expect("a value");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", wanted);
    let address = request.uri().authority().expect("a host").to_string();
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connected");
    let (socket, response) = client_async(request, stream).await.expect("a handshake");
    let agreed = response.headers().get("sec-websocket-protocol");
    let agreed = agreed.map(|value| value.to_str().expect("text").to_owned());
    (socket, agreed)
}

/// The next line that begins so.
async fn until(socket: &mut Socket, begin: &str) -> String {
    within(format!("a line that begins with {begin}"), async {
        loop {
            match socket.next().await.expect("a message").expect("no failure") {
                Message::Text(line) => {
                    assert!(
                        !line.contains(['\r', '\n']),
                        "a line and nothing else: {line:?}"
                    );
                    if line.starts_with(begin) {
                        return line.to_string();
                    }
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    })
    .await
}

#[tokio::test]
async fn each_message_is_a_line_on_every_door() {
    let stage = bandy_testkit::Stage::new();
    let (store, accounts) = accounts();
    let needs = Needs {
        store: Some(store),
        accounts: Some(accounts),
        ..Needs::default()
    };
    let answers = Spec::Chat(quick()).into();
    let service = services::build(&answers, &needs).expect("a chat");
    let server = Server::new(service.service())
        .named("chat", "chat")
        .subprotocols(answers.subprotocols());
    let server = stage.start(server, &[Scheme::Ws, Scheme::Http, Scheme::Irc]);
    let ports: Vec<u16> = server
        .endpoints()
        .iter()
        .filter_map(|at| at.port())
        .collect();
    let mut ada = crate::Person::new(stage.connect(&server.endpoints()[2]).await);
    ada.registers("ada").await;
    ada.joins("#lobby").await;

    let doors = [
        ("one", format!("ws://127.0.0.1:{}/", ports[0])),
        ("two", format!("ws://127.0.0.1:{}/ws", ports[1])),
    ];
    for (nick, url) in doors {
        let (mut socket, agreed) = connect(&url, &format!("binary.ircv3.net, {SUBPROTOCOL}")).await;
        assert_eq!(agreed.as_deref(), Some(SUBPROTOCOL), "{url}");
        for line in [&format!("NICK {nick}"), "USER x 0 * :x\r\n", "JOIN #lobby"] {
            socket.send(Message::text(line)).await.expect("sent");
        }
        until(&mut socket, ":irc.bandy 366 ").await;
        ada.hears(&format!(":{nick}!*@* JOIN #lobby")).await;
        ada.say("PRIVMSG #lobby :hello, browser").await;
        let heard = until(&mut socket, ":ada!").await;
        assert!(
            heard.ends_with(" PRIVMSG #lobby :hello, browser"),
            "{heard}"
        );
        let two_in_one = "PRIVMSG #lobby :one\r\nPRIVMSG #lobby :two";
        socket.send(Message::text(two_in_one)).await.expect("sent");
        socket
            .send(Message::text("PRIVMSG #lobby :hello, ada"))
            .await
            .expect("sent");
        ada.hears(&format!(":{nick}!*@* PRIVMSG #lobby :hello, ada"))
            .await;
        socket.send(Message::text("QUIT")).await.expect("sent");
        until(&mut socket, "ERROR ").await;
        ada.until(&format!(":{nick}!*@* QUIT *")).await;
    }
}
