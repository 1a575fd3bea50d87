//! Calling others: by `http://` as they are, by `https://` over TLS.

use crate::Tls;
use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::pki_types::ServerName;
use std::io;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Error};
use tower::{Service, ServiceExt as _};

/// A connection that is made when first needed, and again whenever needed, each time with the certificates of that moment.
pub fn lazy(endpoint: &Endpoint, tls: &Tls) -> Channel {
    if secure(endpoint.uri()) { endpoint.connect_with_connector_lazy(connector(tls)) } else { endpoint.connect_lazy() }
}

/// A connection that is made now.
///
/// # Errors
/// Nobody is there, or it is somebody else: see [`crate::refused`].
pub async fn connect(endpoint: &Endpoint, tls: &Tls) -> Result<Channel, Error> {
    if secure(endpoint.uri()) {
        endpoint.connect_with_connector(connector(tls)).await
    } else {
        endpoint.connect().await
    }
}

fn secure(uri: &Uri) -> bool {
    uri.scheme() == Some(&http::uri::Scheme::HTTPS)
}

fn connector(
    tls: &Tls,
) -> impl Service<Uri, Response = TokioIo<TlsStream<TcpStream>>, Error = io::Error, Future: Send + 'static>
+ Clone
+ Send
+ 'static {
    let tls = tls.clone();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tower::service_fn(move |uri: Uri| call(uri, tcp.clone(), tls.clone()))
}

async fn call(uri: Uri, tcp: HttpConnector, tls: Tls) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{host} is no name of a host")))?;
    let config = tls.client().map_err(io::Error::other)?;
    let stream = tcp.oneshot(uri.clone()).await.map_err(io::Error::other)?.into_inner();
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    Ok(TokioIo::new(stream))
}
