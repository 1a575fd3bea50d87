//! Who may be called by which name: the check of Host and Origin, on loopback too (DNS rebinding).

use axum::http::{HeaderMap, StatusCode, Uri, header, uri::Authority};
use std::net::{IpAddr, SocketAddr};

/// The names of one port.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    listen: IpAddr,
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Guard {
    pub(crate) fn new(addr: SocketAddr, hosts: &[String], origins: &[String]) -> Self {
        let lower = |texts: &[String]| texts.iter().map(|t| t.trim_end_matches('/').to_ascii_lowercase()).collect();
        Self { listen: addr.ip(), hosts: lower(hosts), origins: lower(origins) }
    }

    /// `local` is the connection's own end: with an unspecified listen address that is the address that was called.
    pub(crate) fn check(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        local: IpAddr,
    ) -> Result<(), (StatusCode, &'static str)> {
        let host = match uri.authority() {
            Some(authority) => Some(authority.clone()),
            None => headers.get(header::HOST).and_then(|v| Authority::try_from(v.as_bytes()).ok()),
        };
        if !host.is_some_and(|host| self.allows(host.host(), local)) {
            return Err((StatusCode::MISDIRECTED_REQUEST, "this host name is not served here; see --public-host"));
        }
        for origin in headers.get_all(header::ORIGIN) {
            if !origin.to_str().is_ok_and(|origin| self.allows_origin(origin, local)) {
                return Err((StatusCode::FORBIDDEN, "pages of this origin may not call here; see --allow-origin"));
            }
        }
        Ok(())
    }

    fn allows(&self, host: &str, local: IpAddr) -> bool {
        let host = host.to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback() || ip == self.listen || ip == local || self.hosts.iter().any(|h| h == bare),
            Err(_) => host == "localhost" || self.hosts.contains(&host),
        }
    }

    fn allows_origin(&self, origin: &str, local: IpAddr) -> bool {
        let origin = origin.to_ascii_lowercase();
        if self.origins.contains(&origin) {
            return true;
        }
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest.and_then(|rest| rest.parse::<Authority>().ok()).is_some_and(|a| self.allows(a.host(), local))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        let addr = SocketAddr::from(([10, 0, 0, 7], 50051));
        Guard::new(addr, &["Tasks.example.org".into()], &["https://ui.example.org/".into()])
    }

    fn status(host: &str, origin: Option<&str>) -> u16 {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        let local = IpAddr::from([10, 0, 0, 7]);
        guard().check(&Uri::from_static("/healthz"), &headers, local).map_or_else(|(s, _)| s.as_u16(), |()| 200)
    }

    #[test]
    fn only_our_own_names_are_served() {
        for host in ["localhost", "LOCALHOST:9", "127.0.0.1:50051", "[::1]:1", "10.0.0.7:50051", "tasks.example.org"] {
            assert_eq!(status(host, None), 200, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "10.0.0.8", "127.0.0.1.nip.io", ""] {
            assert_eq!(status(host, None), 421, "{host}");
        }
    }

    #[test]
    fn only_pages_of_our_own_names_and_of_allowed_origins_may_call() {
        for origin in
            ["http://localhost:3000", "https://tasks.example.org", "https://ui.example.org", "http://[::1]:8080"]
        {
            assert_eq!(status("localhost", Some(origin)), 200, "{origin}");
        }
        for origin in
            ["null", "https://evil.example", "http://ui.example.org", "file://", "https://localhost@evil.example"]
        {
            assert_eq!(status("localhost", Some(origin)), 403, "{origin}");
        }
    }

    #[test]
    fn a_call_without_a_host_is_not_for_us() {
        let local = IpAddr::from([127, 0, 0, 1]);
        assert!(guard().check(&Uri::from_static("/"), &HeaderMap::new(), local).is_err());
    }
}
