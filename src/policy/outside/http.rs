//! The library `http`: requests to servers, whole answers within bounds.

use std::path::PathBuf;

use mlua::{Lua, LuaString, Table, Value};

use super::{Fetch, TIMEOUT, TlsFiles, failed, reach, text};
use crate::config::settings::{KeyPairFiles, Param};
use crate::fetch::{Request, Response};
use crate::policy::FailureKind;
use crate::policy::description::{Arguments, Function, Name, Namespace, Phases, Type, name, parameter};
use crate::policy::facts::{Described, Fact, Field, field, quote};
use crate::policy::program::Surroundings;
use crate::policy::relay::limit;
use crate::route::Limit;

/// Longest body of an answer, in bytes, unless the script says otherwise; and whatever it says.
const BODY: usize = 1 << 20;
const MAX_BODY: usize = 16 << 20;

/// Most headers of a request.
const MAX_HEADERS: usize = 100;

const TEXT: Type = Type::Optional(&Type::String);

const METHOD: Name = name("method", TEXT, "Such as \"POST\"; \"GET\" unless given.");
const URL: Name = name("url", Type::String, "http://… or https://…, without user and password.");
const CONTENT: Name = name("body", TEXT, "What is sent along.");
const HEADERS: Name = name(
    "headers",
    Type::Optional(&Type::Map(&Type::String)),
    "Up to 100 headers; those of the connection are made here.",
);
const TIMEOUT_OPTION: Name =
    name("timeout", Type::Optional(&Type::Number), "Longest wait for the whole answer, in seconds; 10 unless given.");
const MAX_BYTES: Name = name(
    "max_bytes",
    Type::Optional(&Type::Number),
    "Longest body of the answer, up to 16777216; 1048576, which is 1 MiB, unless given. A longer one is an error.",
);
const CA: Name = name(
    "ca",
    TEXT,
    "A PEM file with the CA that the server's certificate comes from; the system's CAs unless given. It lies in the \
     policies' folder, or is an absolute path that stands among the configuration's params.",
);
const CERTIFICATE: Name =
    name("certificate", TEXT, "A PEM file with the certificate to show, found as ca is; with key.");
const KEY: Name = name("key", TEXT, "The PEM file with that certificate's key.");

const GET_OPTIONS: [Name; 6] = [HEADERS, TIMEOUT_OPTION, MAX_BYTES, CA, CERTIFICATE, KEY];
const REQUEST_OPTIONS: [Name; 9] = [METHOD, URL, CONTENT, HEADERS, TIMEOUT_OPTION, MAX_BYTES, CA, CERTIFICATE, KEY];

/// The library `http`.
pub(super) const NAMESPACE: Namespace = Namespace {
    name: "http",
    about: "Requests over HTTP and HTTPS, each on a connection of its own. No redirect is followed, and a server's \
            certificate is always verified. Whatever status is answered is no error; no answer is one, which fails the \
            job unless it is caught by pcall.",
    constants: &[],
    functions: &[
        Function {
            name: "get",
            about: "Asks for a URL.",
            parameters: &[
                parameter("url", Type::String, "a URL such as \"https://calendar.example/maintenance.json\""),
                parameter("options", Type::Optional(&Type::Options(&GET_OPTIONS)), "a table of options"),
            ],
            returns: Type::Fact(ResponseFacts::KIND),
            phases: Phases::BACKGROUND,
            blame: FailureKind::Error,
            call: |lua, arguments| {
                let options = arguments.at(1).as_table();
                fetch(lua, "http.get", Request::get(&text(arguments.at(0)), TIMEOUT, BODY), options)
            },
        },
        Function {
            name: "request",
            about: "Sends a request of any method but CONNECT.",
            parameters: &[parameter("options", Type::Options(&REQUEST_OPTIONS), "a table that says what, with url")],
            returns: Type::Fact(ResponseFacts::KIND),
            phases: Phases::BACKGROUND,
            blame: FailureKind::Error,
            call: request,
        },
    ],
    inner: &[],
};

/// An answer in the script's hands. Its texts lie in Lua, where the memory limit counts them.
#[derive(Clone)]
pub(in crate::policy) struct ResponseFacts {
    status: u16,
    headers: Table,
    body: LuaString,
}

impl Described for ResponseFacts {
    const NAME: &'static str = "Response";
    const ABOUT: &'static str = "What a server answered.";
    const FIELDS: &'static [Field<Self>] = &[
        field("status", Type::Number, "Its status, such as 200.", |_, it| Ok(Value::Number(it.status.into()))),
        field(
            "headers",
            Type::Map(&Type::String),
            "Its headers by name in lower case; several of one name are joined by \", \".",
            |_, it| Ok(Value::Table(it.headers.clone())),
        ),
        field("body", Type::String, "Its whole body.", |_, it| Ok(Value::String(it.body.clone()))),
    ];
}

fn request(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let Value::Table(options) = arguments.at(0) else { return Ok(Value::Nil) };
    let given = |name: &Name| options.raw_get::<Value>(name.name).unwrap_or(Value::Nil);
    let body = given(&CONTENT).as_string().map(|body| body.as_bytes().to_vec()).unwrap_or_default();
    let mut request = Request { body: body.into(), ..Request::get(&text(&given(&URL)), TIMEOUT, BODY) };
    if let method @ Value::String(_) = given(&METHOD) {
        request.method = text(&method);
    }
    fetch(lua, "http.request", request, Some(options))
}

/// Sends `request` as `options` have it.
fn fetch(lua: &Lua, function: &str, request: Request, options: Option<&Table>) -> mlua::Result<Value> {
    let fetch = match options {
        Some(options) => with_options(lua, request, options).map_err(|why| failed(lua, function, &why))?,
        None => Fetch { request, tls: None },
    };
    let response = reach(lua, function, |reach| reach.outside.fetch(fetch, reach.leash.left()))?;
    given(lua, &response).map(Value::UserData)
}

fn with_options(lua: &Lua, mut request: Request, options: &Table) -> Result<Fetch, String> {
    request.headers = headers(options)?;
    if let Some(timeout) = limit(options, TIMEOUT_OPTION.name)? {
        request.timeout = Limit::get(timeout);
    }
    if let Ok(Some(bytes)) = options.raw_get::<Option<f64>>(MAX_BYTES.name) {
        let whole = (1.0..=MAX_BODY as f64).contains(&bytes) && bytes.fract() == 0.0;
        let wrong = || format!("max_bytes must be a whole number from 1 to {MAX_BODY}, not {bytes}");
        request.max_bytes = format!("{bytes}").parse().ok().filter(|_| whole).ok_or_else(wrong)?;
    }
    Ok(Fetch { request, tls: tls(lua, options)? })
}

fn headers(options: &Table) -> Result<Vec<(String, String)>, String> {
    let Ok(Value::Table(headers)) = options.raw_get(HEADERS.name) else { return Ok(Vec::new()) };
    let mut read = Vec::new();
    for (name, value) in headers.pairs::<Value, LuaString>().flatten() {
        let Value::String(name) = name else { return Err(format!("a header's name is text, not {}", quote(&name))) };
        let name = name.to_string_lossy();
        let value = value.to_str().map_err(|_| format!("the value of the header {name:?} is not UTF-8"))?.to_owned();
        read.push((name, value));
        if read.len() > MAX_HEADERS {
            return Err(format!("there may be {MAX_HEADERS} headers"));
        }
    }
    // A table has no order, and a request that differs from run to run would be a riddle.
    read.sort();
    Ok(read)
}

/// The files that TLS needs, if any are named.
fn tls(lua: &Lua, options: &Table) -> Result<Option<TlsFiles>, String> {
    let file = |of: &Name| match options.raw_get::<Value>(of.name) {
        Ok(name @ Value::String(_)) => allowed(lua, of.name, &text(&name)).map(Some),
        _ => Ok(None),
    };
    let (ca, certificate, key) = (file(&CA)?, file(&CERTIFICATE)?, file(&KEY)?);
    let identity = match (certificate, key) {
        (Some(cert), Some(key)) => Some(KeyPairFiles { cert, key }),
        (None, None) => None,
        (Some(_), None) => return Err("certificate stands without key".to_owned()),
        (None, Some(_)) => return Err("key stands without certificate".to_owned()),
    };
    Ok(if ca.is_some() || identity.is_some() { Some(TlsFiles { ca, identity }) } else { None })
}

/// The file called `file`. A script must not choose among all the keys of a machine: what lies outside of its folder is
/// named by who wrote the configuration.
fn allowed(lua: &Lua, option: &str, file: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(file);
    let around = lua.app_data_ref::<Surroundings>();
    let named = around.is_some_and(|around| around.params.values().any(|param| names(param, file)));
    if path.is_absolute() && !named {
        return Err(format!(
            "{option} lies outside of the policies' folder, and is none of the configuration's params: {file:?}"
        ));
    }
    Ok(path)
}

fn names(param: &Param, file: &str) -> bool {
    match param {
        Param::Text(text) => text == file,
        Param::List(list) => list.iter().any(|param| names(param, file)),
        Param::Map(map) => map.values().any(|param| names(param, file)),
        _ => false,
    }
}

/// Makes of `response` what scripts hold.
fn given(lua: &Lua, response: &Response) -> mlua::Result<mlua::AnyUserData> {
    let headers = lua.create_table()?;
    for (name, value) in &response.headers {
        let before: Option<LuaString> = headers.raw_get(name.as_str())?;
        let value = match before {
            Some(before) => lua.create_string([&before.as_bytes(), b", ".as_slice(), value].concat())?,
            None => lua.create_string(value)?,
        };
        headers.raw_set(name.as_str(), value)?;
    }
    headers.set_readonly(true);
    let body = lua.create_string(&response.body)?;
    lua.create_userdata(Fact(ResponseFacts { status: response.status, headers, body }))
}
