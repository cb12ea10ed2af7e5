//! What nearly every policy looks at, at hand in Luau when a call of `route` begins: the build, who runs it where, and
//! the way straight there. Scripts see no difference but in time. Never grows past its bound, and never keeps what the
//! registry has.

use std::cell::RefCell;
use std::sync::Arc;

use mlua::{AnyUserData, Function, IntoLua as _, Lua, Table, Value};
use rustc_hash::FxHashMap;

use super::Request;
use super::answer::{Decision, Made, targets};
use super::facts::{self, Described, Fact, RequestFacts};
use super::library;
use super::unguarded::unguarded;
use crate::names::{Hostname, Zone};
use crate::registry::{Build, Worker};
use crate::route::Target;

const SCRIPT: &str = include_str!("hand.lua");

/// Workers that have numbers. Beyond, all are numbered anew.
const MAX_WORKERS: usize = 1024;

/// The number of no worker.
const NOBODY: usize = 0;

/// Kinds of facts of which something is at hand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    Request,
    Build,
    Worker,
}

/// What an engine has at hand.
pub(super) struct Hand {
    /// Calls a policy's `route`.
    call: Function,
    let_go: Function,
    numbers: RefCell<FxHashMap<Worker, usize>>,
    /// By number, as Luau sees them.
    workers: Table,
    zones: Table,
    ways: Table,
}

/// What one call of `route` is given, beside the function itself: the request, the build, the number of its worker, and
/// that of the way there.
pub(super) type Given = (AnyUserData, Option<AnyUserData>, usize, usize);

/// What reads fields in Luau first; kept in the engine.
struct Readers {
    of_request: Function,
    of_build: Function,
    of_worker: Function,
    directly: Function,
}

impl Hand {
    /// For the engine `lua`, in which there are no facts yet, nor makers of routes.
    pub(super) fn new(lua: &Lua) -> mlua::Result<Self> {
        let fetch = (
            lua.create_function(facts::fetch::<RequestFacts>)?,
            lua.create_function(facts::fetch::<Arc<Build>>)?,
            lua.create_function(facts::fetch::<Worker>)?,
        );
        let script = lua.load(SCRIPT).set_name(format!("={}", library::CHUNK));
        let (call, let_go, of_request, of_build, of_worker, directly, workers, zones, ways) = script.call(fetch)?;
        lua.set_app_data(Readers { of_request, of_build, of_worker, directly });
        Ok(Self { call, let_go, numbers: RefCell::default(), workers, zones, ways })
    }

    /// What calls `route` for what is [`Given`].
    pub(super) fn call(&self) -> &Function {
        &self.call
    }

    /// Holds nothing of a call that failed. One that went well has let go of everything itself.
    pub(super) fn let_go(&self) {
        // What a limit keeps from it goes with the engine.
        let _done = self.let_go.call::<()>(());
    }

    /// Takes `request` in hand. A route whose maker's line is wanted must really be made: no way is at hand for it.
    pub(super) fn give(&self, lua: &Lua, request: &Request<'_>, explaining: bool) -> mlua::Result<Given> {
        let worker = request.build.and_then(|build| build.worker.as_ref());
        let number = worker.map_or(Ok(NOBODY), |worker| self.number(lua, worker))?;
        let (asked, build) = unguarded(lua, || {
            let build = request.build.map(|build| lua.create_userdata(Fact(Arc::clone(build))));
            Ok((lua.create_userdata(Fact(RequestFacts::new(request)))?, build.transpose()?))
        })?;
        Ok((asked, build, number, if explaining { NOBODY } else { number }))
    }

    fn number(&self, lua: &Lua, worker: &Worker) -> mlua::Result<usize> {
        let mut numbers = self.numbers.borrow_mut();
        if let Some(number) = numbers.get(worker) {
            return Ok(*number);
        }
        if numbers.len() >= MAX_WORKERS {
            numbers.clear();
            [&self.workers, &self.zones, &self.ways].into_iter().try_for_each(Table::clear)?;
        }
        let (number, worker) = (numbers.len() + 1, apart(worker));
        self.keep(lua, number, &worker)?;
        numbers.insert(worker, number);
        Ok(number)
    }

    fn keep(&self, lua: &Lua, number: usize, worker: &Worker) -> mlua::Result<()> {
        let way = Target::direct(worker).map(|target| Decision::Route(targets(vec![target])));
        let way = way.map(|decision| facts::made(lua, Made { decision, spot: None })).transpose()?;
        self.workers.raw_set(number, facts::made(lua, worker.clone())?)?;
        self.zones.raw_set(number, facts::zone(lua, worker.zone.as_ref())?)?;
        self.ways.raw_set(number, way)
    }
}

/// What reads the fields of facts of which something is at hand.
pub(super) fn reader<T: Described>(lua: &Lua, of: Of) -> mlua::Result<Value> {
    match (lua.app_data_ref::<Readers>(), of) {
        (Some(readers), Of::Request) => readers.of_request.clone().into_lua(lua),
        (Some(readers), Of::Build) => readers.of_build.clone().into_lua(lua),
        (Some(readers), Of::Worker) => readers.of_worker.clone().into_lua(lua),
        (None, _) => lua.create_function(facts::fetch::<T>)?.into_lua(lua),
    }
}

/// The function that scripts call in the place of `made`, which is `name` in full, and does the same.
pub(super) fn quickened(lua: &Lua, name: (&str, &str), made: Function) -> mlua::Result<Function> {
    match (name, lua.app_data_ref::<Readers>()) {
        (("relay", "direct"), Some(readers)) => readers.directly.call(made),
        _ => Ok(made),
    }
}

/// A copy that shares no counter of references with the registry's, nor with another engine's: every target holds a
/// host name, and threads that count in one place wait for each other.
fn apart(worker: &Worker) -> Worker {
    let hostname = Hostname::parse(worker.hostname.as_str()).unwrap_or_else(|| worker.hostname.clone());
    let zone = worker.zone.as_ref().map(|zone| Zone::parse(zone.as_str()).unwrap_or_else(|| zone.clone()));
    Worker { hostname, zone, log_port: worker.log_port }
}
