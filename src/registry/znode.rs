//! Reads what Zuul writes into a znode. It takes every key as optional and every type as possibly wrong, because older
//! and newer Zuuls write other keys; it refuses only what cannot be used at all.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::names::{BuildId, Hostname, Zone};
use crate::registry::malformed::Defect;
use crate::registry::model::{Build, Executor, Gateway, State, Worker};

/// Larger znodes are not looked into, in bytes. ZooKeeper's own limit is the same by default.
pub(crate) const MAX_LEN: usize = 1 << 20;

/// A component of any kind, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Component {
    /// What routing sees of it.
    pub(crate) role: Role,
    /// The data-model version that it shows to the rest of the system.
    pub(crate) model_api: Option<i64>,
}

/// What a component is to a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// A way into a zone.
    Gateway(Arc<Gateway>),
    /// Where builds run.
    Executor(Arc<Executor>),
    /// Anything else.
    Other,
}

/// Reads a build request that lies in `zone`.
pub(crate) fn build(uuid: &BuildId, zone: Option<&Zone>, data: &[u8]) -> Result<Build, Defect> {
    let json = object(data)?;
    Ok(Build {
        uuid: uuid.clone(),
        zone: zone.cloned(),
        tenant: text(&json, "tenant_name"),
        pipeline: text(&json, "pipeline_name"),
        state: text(&json, "state"),
        worker: worker(json.get("worker_info"))?,
    })
}

/// Reads a component of `kind` whose znode is called `id`.
pub(crate) fn component(kind: &str, id: &str, data: &[u8]) -> Result<Component, Defect> {
    let json = object(data)?;
    let role = match kind {
        "fingergw" => Role::Gateway(Arc::new(gateway(id, &json)?)),
        "executor" => Role::Executor(Arc::new(executor(id, &json)?)),
        _ => Role::Other,
    };
    Ok(Component { role, model_api: json.get("model_api").and_then(Value::as_i64) })
}

fn gateway(id: &str, json: &Map<String, Value>) -> Result<Gateway, Defect> {
    Ok(Gateway {
        id: id.into(),
        hostname: hostname(json, "hostname").ok_or(Defect::BadField("hostname"))?,
        zone: zone(json),
        public_port: port(json.get("public_port")),
        use_ssl: json.get("use_ssl").and_then(Value::as_bool).unwrap_or(false),
        state: state(json),
        version: text(json, "version"),
    })
}

fn executor(id: &str, json: &Map<String, Value>) -> Result<Executor, Defect> {
    Ok(Executor {
        id: id.into(),
        hostname: hostname(json, "hostname").ok_or(Defect::BadField("hostname"))?,
        zone: zone(json),
        state: state(json),
    })
}

/// A worker that is there but has no host is an error: "did not start yet" would not be true of its build.
fn worker(json: Option<&Value>) -> Result<Option<Worker>, Defect> {
    let json = match json {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(json)) => json,
        Some(_) => return Err(Defect::BadField("worker_info")),
    };
    let hostname = hostname(json, "hostname").ok_or(Defect::BadField("worker_info.hostname"))?;
    Ok(Some(Worker { hostname, log_port: port(json.get("log_port")), zone: zone(json) }))
}

fn object(data: &[u8]) -> Result<Map<String, Value>, Defect> {
    if data.len() > MAX_LEN {
        return Err(Defect::TooLarge);
    }
    serde_json::from_slice(data).map_err(|_| Defect::NotJson)
}

fn text(json: &Map<String, Value>, key: &str) -> Option<String> {
    json.get(key)?.as_str().map(str::to_owned)
}

fn hostname(json: &Map<String, Value>, key: &str) -> Option<Hostname> {
    Hostname::parse(json.get(key)?.as_str()?)
}

fn zone(json: &Map<String, Value>) -> Option<Zone> {
    Zone::parse(json.get("zone")?.as_str()?)
}

fn state(json: &Map<String, Value>) -> State {
    json.get("state").and_then(Value::as_str).map_or(State::Unknown, State::parse)
}

/// Zuul's Python dials a port that is written as text just as well.
fn port(json: Option<&Value>) -> Option<u16> {
    let port = match json? {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok()?,
        Value::String(digits) => digits.trim().parse().ok()?,
        _ => return None,
    };
    (port != 0).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0123456789abcdef0123456789abcdef";

    fn parsed(json: &str) -> Result<Build, Defect> {
        build(&BuildId::parse(UUID).unwrap(), Zone::parse("asked").as_ref(), json.as_bytes())
    }

    #[test]
    fn a_build_as_zuul_writes_it() {
        let build = parsed(
            r#"{"build_set_uuid": "bs", "event_id": "e", "job_uuid": "j", "pipeline_name": "check", "precedence": 200,
                "result_path": null, "span_context": null, "state": "running", "tenant_name": "acme", "uuid": "x",
                "worker_info": {"hostname": "ze01", "log_port": 7900, "zone": "runs"}, "zone": "asked"}"#,
        )
        .unwrap();
        assert_eq!(build.uuid.as_str(), UUID);
        assert_eq!(build.zone, Zone::parse("asked"));
        assert_eq!(build.tenant.as_deref(), Some("acme"));
        assert_eq!(build.pipeline.as_deref(), Some("check"));
        assert_eq!(build.state.as_deref(), Some("running"));
        let worker = build.worker.unwrap();
        assert_eq!((worker.hostname.as_str(), worker.log_port), ("ze01", Some(7900)));
        assert_eq!(worker.zone, Zone::parse("runs"));
    }

    #[test]
    fn every_key_of_a_build_may_be_missing_or_of_another_type() {
        assert_eq!(parsed("{}").unwrap().worker, None);
        let odd = r#"{"tenant_name": 1, "pipeline_name": [], "state": {}, "worker_info": null, "new": {"a": [1]}}"#;
        let build = parsed(odd).unwrap();
        assert_eq!((build.tenant, build.pipeline, build.state, build.worker), (None, None, None, None));
    }

    #[test]
    fn a_log_port_may_be_text_and_cannot_be_nonsense() {
        let port = |json: &str| {
            parsed(&format!(r#"{{"worker_info": {{"hostname": "h", "log_port": {json}}}}}"#)).unwrap().worker.unwrap()
        };
        assert_eq!(port("\"7900\"").log_port, Some(7900));
        for bad in ["null", "0", "70000", "-1", "1.5", "true", "\"\"", "\"x\"", "[]"] {
            assert_eq!(port(bad).log_port, None, "{bad}");
        }
    }

    #[test]
    fn a_worker_that_cannot_be_dialled_is_no_build_that_waits() {
        assert_eq!(parsed(r#"{"worker_info": 7}"#), Err(Defect::BadField("worker_info")));
        for bad in [r#"{}"#, r#"{"hostname": ""}"#, r#"{"hostname": "a b"}"#, r#"{"hostname": null}"#] {
            let build = parsed(&format!(r#"{{"worker_info": {bad}}}"#));
            assert_eq!(build, Err(Defect::BadField("worker_info.hostname")), "{bad}");
        }
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for bad in ["", "{", "null", "[]", "7", "\"x\"", "{\"a\": \"\u{0}\"}", &"[".repeat(100_000)] {
            assert_eq!(parsed(bad), Err(Defect::NotJson), "{bad:.20}");
        }
        let id = BuildId::parse(UUID).unwrap();
        assert_eq!(build(&id, None, b"{\"state\": \"\xff\"}"), Err(Defect::NotJson));
        assert_eq!(parsed(&format!("{{}}{}", " ".repeat(MAX_LEN))), Err(Defect::TooLarge));
    }

    #[test]
    fn a_gateway_as_zuul_writes_it() {
        let json = br#"{"hostname": "gw", "kind": "fingergw", "model_api": 38, "public_port": 79, "state": "running",
                        "use_ssl": true, "version": "14.3.0", "zone": "a"}"#;
        let component = component("fingergw", "gw0000000001", json).unwrap();
        assert_eq!(component.model_api, Some(38));
        let Role::Gateway(gateway) = component.role else { panic!("{component:?}") };
        assert_eq!(&*gateway.id, "gw0000000001");
        assert_eq!((gateway.hostname.as_str(), gateway.public_port, gateway.use_ssl), ("gw", Some(79), true));
        assert_eq!((gateway.state, gateway.zone.clone()), (State::Running, Zone::parse("a")));
    }

    #[test]
    fn a_gateway_needs_no_more_than_a_host() {
        let Role::Gateway(gateway) = component("fingergw", "x", br#"{"hostname": "gw"}"#).unwrap().role else {
            panic!("a gateway")
        };
        assert_eq!((gateway.public_port, gateway.use_ssl, gateway.state), (None, false, State::Unknown));
        assert_eq!(component("fingergw", "x", b"{}"), Err(Defect::BadField("hostname")));
    }

    #[test]
    fn other_components_count_for_their_model_api_only() {
        for (json, shown) in [("38", Some(38)), ("true", None), ("null", None), ("\"38\"", None), ("1e3", None)] {
            let json = format!(r#"{{"model_api": {json}}}"#);
            let expected = Component { role: Role::Other, model_api: shown };
            assert_eq!(component("scheduler", "x", json.as_bytes()), Ok(expected));
        }
    }
}
