//! What is answered to a request.

use http_body_util::Full;
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::Views;
use super::pulse::PATIENCE;

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A status, a text, and its type.
type Answer = (StatusCode, &'static str, String);

/// The answer to `request`, which may hold anything.
pub(super) async fn answer(request: &Request<impl Body>, views: &Views) -> Response<Full<Bytes>> {
    let (status, kind, text) = choose(request, views).await;
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

async fn choose(request: &Request<impl Body>, views: &Views) -> Answer {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let text = "only GET and HEAD are served here\n";
        return (StatusCode::METHOD_NOT_ALLOWED, TEXT, text.to_owned());
    }
    if !request.body().is_end_stream() {
        let text = "requests have no body here\n";
        return (StatusCode::PAYLOAD_TOO_LARGE, TEXT, text.to_owned());
    }
    match request.uri().path() {
        "/metrics" => metrics(views),
        "/healthz" => health(views.pulse.beats().await),
        "/readyz" => readiness(&views.health.obstacles()),
        _ => {
            let text = "there are /metrics, /healthz and /readyz\n";
            (StatusCode::NOT_FOUND, TEXT, text.to_owned())
        }
    }
}

fn metrics(views: &Views) -> Answer {
    match views.metrics.encode(&views.health) {
        Ok(text) => (StatusCode::OK, OPEN_METRICS, text),
        Err(_) => {
            let text = "the metrics cannot be written down\n";
            (StatusCode::INTERNAL_SERVER_ERROR, TEXT, text.to_owned())
        }
    }
}

fn health(beats: bool) -> Answer {
    if beats {
        return (StatusCode::OK, TEXT, "ok\n".to_owned());
    }
    let text = format!(
        "the event loop has not answered for {} ms: the runtime's calls are not served; restart the plugin\n",
        PATIENCE.as_millis()
    );
    (StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
}

fn readiness(obstacles: &[String]) -> Answer {
    if obstacles.is_empty() {
        return (StatusCode::OK, TEXT, "ok\n".to_owned());
    }
    // One line each, whatever a reason holds.
    let lines = obstacles
        .iter()
        .map(|reason| reason.replace('\n', " ") + "\n");
    (StatusCode::SERVICE_UNAVAILABLE, TEXT, lines.collect())
}
