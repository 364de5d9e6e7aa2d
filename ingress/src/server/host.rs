use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Request, Version};

use crate::problem::{Problem, codes};

/// Returns what is wrong with the host that a request names: HTTP/1.1 requires exactly one `Host` (RFC 9112, section 3.2),
/// and HTTP/2 has `:authority`, which a `Host` must equal (RFC 9113, section 8.3.1).
pub(super) fn fault<B>(request: &Request<B>) -> Option<Problem> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, more) = (hosts.next(), hosts.next());
    let authority = request.uri().authority().filter(|_| request.version() == Version::HTTP_2);
    let detail = match (host, authority) {
        _ if more.is_some() => "the header Host is given more than once; send exactly one",
        (None, None) if request.version() > Version::HTTP_10 => "the header Host is missing; send exactly one",
        (Some(host), _) if !is_host(host) => "the header Host is not a host name with an optional port",
        (Some(host), Some(authority)) if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) => {
            "the header Host and :authority name different hosts"
        }
        _ => return None,
    };
    Some(Problem::new(codes::INVALID_HEADER, detail))
}

/// A host may be empty (RFC 9112, section 3.2); it has no user.
fn is_host(host: &HeaderValue) -> bool {
    host.is_empty() || Authority::try_from(host.as_bytes()).is_ok_and(|host| !host.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(version: Version, uri: &str, hosts: &[&str]) -> bool {
        let mut request = Request::builder().version(version).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        fault(&request.body(()).unwrap()).is_some()
    }

    #[test]
    fn a_request_names_exactly_one_host() {
        let table: &[(Version, &str, &[&str], bool)] = &[
            (Version::HTTP_11, "/", &["shop"], false),
            (Version::HTTP_11, "/", &["[::1]:8080"], false),
            (Version::HTTP_11, "/", &[""], false),
            (Version::HTTP_11, "/", &[], true),
            (Version::HTTP_11, "http://shop/", &[], true),
            (Version::HTTP_11, "/", &["shop", "shop"], true),
            (Version::HTTP_11, "/", &["shop, shop"], true),
            (Version::HTTP_11, "/", &["a b"], true),
            (Version::HTTP_11, "/", &["ann@shop"], true),
            (Version::HTTP_10, "/", &[], false),
            (Version::HTTP_10, "/", &["shop", "shop"], true),
            (Version::HTTP_2, "https://shop/", &[], false),
            (Version::HTTP_2, "https://shop/", &["Shop"], false),
            (Version::HTTP_2, "https://shop/", &["other"], true),
            (Version::HTTP_2, "/", &["shop"], false),
            (Version::HTTP_2, "/", &[], true),
        ];
        for (version, uri, hosts, refused) in table {
            assert_eq!(is_refused(*version, uri, hosts), *refused, "{version:?} {uri} {hosts:?}");
        }
    }
}
