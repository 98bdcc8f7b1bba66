//! scratch
use bandy::{Server, services::echo::Echo};
fn main() -> bandy::Result<()> {
    let mut server = Server::new(Echo);
    for arg in std::env::args().skip(3) {
        server = server.listen(&arg)?;
    }
    let running = server.start()?;
    for e in running.endpoints() {
        println!("listening on {e} (echo)");
    }
    loop {
        std::thread::park();
    }
}
