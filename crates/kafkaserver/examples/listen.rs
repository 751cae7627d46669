//! The listener alone on a log, without an engine: `listen DIR ADDR [SESSION_MS]`. For trying clients and for measuring;
//! the session is that of members of the consumer protocol.

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use host::Host;
use kafkaserver::{Broker, Settings};
use recordlog::embedded::EmbeddedLog;
use tokio_util::sync::CancellationToken;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(dir), Some(address)) = (args.next(), args.next()) else { return Err("listen DIR ADDR".into()) };
    let address: SocketAddr = address.parse()?;
    let mut settings = Settings::default();
    if let Some(session_ms) = args.next() {
        settings.group_session = Duration::from_millis(session_ms.parse()?);
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async move {
        let log = EmbeddedLog::open(Host::real(), &dir, recordlog::embedded::Settings::default())?;
        let stop = CancellationToken::new();
        let listener = kafkaserver::listen(address, &settings).await?;
        let broker = Arc::new(Broker::open(Arc::clone(&log), settings, stop.clone()).await?);
        println!("listening on {}", listener.local_addr()?);
        let served = tokio::spawn(kafkaserver::serve(broker, listener));
        tokio::signal::ctrl_c().await?;
        stop.cancel();
        served.await?;
        log.close()?;
        Ok(())
    })
}
