//! Calling others: by `http://` as they are, by `https://` over TLS.

use crate::{Tls, corked::Corked};
use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::pki_types::ServerName;
use std::io;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::either::Either;
use tonic::transport::{Channel, Endpoint, Error};
use tower::{Service, ServiceExt as _};

/// What is spoken over.
type Connection = TokioIo<Corked<Either<TlsStream<TcpStream>, TcpStream>>>;

/// A connection that is made when first needed, and again whenever needed, each time with the certificates of that moment.
pub fn lazy(endpoint: &Endpoint, tls: &Tls) -> Channel {
    endpoint.connect_with_connector_lazy(connector(tls))
}

/// A connection that is made now.
///
/// # Errors
/// Nobody is there, or it is somebody else: see [`crate::refused`].
pub async fn connect(endpoint: &Endpoint, tls: &Tls) -> Result<Channel, Error> {
    endpoint.connect_with_connector(connector(tls)).await
}

fn connector(
    tls: &Tls,
) -> impl Service<Uri, Response = Connection, Error = io::Error, Future: Send + 'static> + Clone + Send + 'static {
    let tls = tls.clone();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tower::service_fn(move |uri: Uri| call(uri, tcp.clone(), tls.clone()))
}

async fn call(uri: Uri, tcp: HttpConnector, tls: Tls) -> io::Result<Connection> {
    let stream = if uri.scheme() == Some(&http::uri::Scheme::HTTPS) {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{host} is no name of a host")))?;
        let config = tls.client().map_err(io::Error::other)?;
        Either::Left(TlsConnector::from(config).connect(name, reach(uri, tcp).await?).await?)
    } else {
        Either::Right(reach(uri, tcp).await?)
    };
    Ok(TokioIo::new(Corked::new(stream)))
}

async fn reach(uri: Uri, tcp: HttpConnector) -> io::Result<TcpStream> {
    Ok(tcp.oneshot(uri).await.map_err(io::Error::other)?.into_inner())
}
