//! Every kind of script that would not end is stopped, and its thread decides on as if nothing had happened.

mod calls;
mod recursion;

use super::*;

/// Runs `body` when the build is in tenant `mad`; answers sensibly otherwise.
pub(super) fn stops(kind: FailureKind, body: &str) -> Failure {
    // Only the limit that a test is about is short.
    let time_limit = if kind == FailureKind::Time { short_limits().time_limit } else { Duration::from_secs(60) };
    let limits = settings::Policy { time_limit, ..short_limits() };
    let text = format!("if request.build.tenant == 'mad' then {body}\nend return relay.direct(request.build.worker)");
    let policy = try_load(&script(&text), limits).unwrap_or_else(|error| panic!("{error}"));
    let sane = Scene::running_in(None);
    let mad = Scene::running_in(None).of_tenant("mad");
    let failure = mad.ask(&policy).unwrap_err();
    assert_eq!(failure.kind, kind, "{failure}");
    assert!(failure.line.is_some() && failure.excerpt.is_some(), "{failure}");
    for _ in 0..3 {
        assert_eq!(hosts(&sane.ask(&policy).unwrap()), ["executor1"]);
        assert_eq!(mad.ask(&policy).unwrap_err().kind, kind);
    }
    failure
}

fn runs_out_of_time(body: &str) {
    stops(FailureKind::Time, body);
}

fn runs_out_of_memory(body: &str) {
    stops(FailureKind::Memory, body);
}

#[test]
fn a_loop() {
    let failure = stops(FailureKind::Time, "\nwhile true do end");
    assert_eq!(failure.line, Some(2));
    assert!(failure.message.contains("20ms"), "{failure}");
}

#[test]
fn a_loop_of_any_form() {
    runs_out_of_time("for _ = 1, math.huge do end");
    runs_out_of_time("repeat until false");
    runs_out_of_time("local t = {1} for k in function() return 1 end do end");
}

#[test]
fn a_loop_inside_pcall_inside_a_loop() {
    runs_out_of_time("while true do pcall(function() while true do end end) end");
}

#[test]
fn a_loop_whose_error_is_caught_before_a_good_answer() {
    runs_out_of_time("pcall(function() while true do end end) return relay.refuse('caught')");
    runs_out_of_time("pcall(pcall, pcall, function() while true do end end) return relay.refuse('caught')");
}

#[test]
fn a_loop_in_an_error_handler() {
    runs_out_of_time("xpcall(error, function() while true do end end)");
    runs_out_of_time("xpcall(function() while true do end end, function() while true do end end)");
}

#[test]
fn a_loop_in_a_metamethod() {
    let forever = "function() while true do end end";
    runs_out_of_time(&format!("return setmetatable({{}}, {{ __index = {forever} }}).x"));
    runs_out_of_time(&format!("setmetatable({{}}, {{ __newindex = {forever} }}).x = 1"));
    runs_out_of_time(&format!("return tostring(setmetatable({{}}, {{ __tostring = {forever} }}))"));
    runs_out_of_time(&format!("print(setmetatable({{}}, {{ __tostring = {forever} }}))"));
    runs_out_of_time(&format!("return #setmetatable({{}}, {{ __len = {forever} }})"));
    runs_out_of_time(&format!("for _ in setmetatable({{}}, {{ __iter = {forever} }}) do end"));
    runs_out_of_time(&format!(
        "local a = setmetatable({{}}, {{ __eq = {forever} }}) return a == setmetatable({{}}, getmetatable(a))"
    ));
}

#[test]
fn a_loop_in_what_is_thrown() {
    runs_out_of_time("error(setmetatable({}, { __tostring = function() while true do end end }))");
}

#[test]
fn a_loop_in_a_coroutine() {
    runs_out_of_time("coroutine.wrap(function() while true do end end)()");
    runs_out_of_time("while true do coroutine.resume(coroutine.create(function() while true do end end)) end");
    runs_out_of_time(
        "local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do c() end",
    );
}

#[test]
fn a_backtracking_pattern() {
    runs_out_of_time("return string.find(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 41))");
    runs_out_of_time("return string.match(string.rep('a', 5000), '.-.-.-.-.-b')");
    runs_out_of_time("return string.gsub(string.rep('a', 5000), '.-.-.-.-b', '')");
    runs_out_of_time("for _ in string.gmatch(string.rep('a', 5000), '.-.-.-.-b') do end");
}

#[test]
fn searches_that_the_interrupt_cannot_reach_are_refused() {
    let refused = |body: &str| {
        let failure = stops(FailureKind::Error, body);
        assert!(failure.message.contains("more than one call may"), "{failure}");
        assert_eq!(failure.line, Some(1), "{failure}");
    };
    refused("return string.find(string.rep('a', 200000), string.rep('a', 100000) .. 'b', 1, true)");
    refused("return string.rep('a', 200000):find(string.rep('a', 100000) .. 'b')");
    refused("return string.match(string.rep('a', 200000), '[' .. string.rep('b', 100000) .. ']*')");
    refused("return string.gsub(string.rep('a', 200000), '[' .. string.rep('b', 100000) .. ']*', '')");
    refused("return string.gmatch(string.rep('a', 200000), '[' .. string.rep('b', 100000) .. ']*')");
    refused("return string.split(string.rep('a', 200000), string.rep('a', 100000) .. 'b')");
    refused("return table.move({}, 1, 2 ^ 30, 1, {})");
}

#[test]
fn no_guard_is_passed_by_a_value_that_the_library_converts() {
    let refused = |body: &str, words: &str| {
        let failure = stops(FailureKind::Error, body);
        assert!(failure.message.contains(words), "{failure}");
        assert_eq!(failure.line, Some(1), "{failure}");
    };
    refused("return table.move({}, '1', '30000000', 10, {})", "must be numbers, not a string and a string");
    refused("return table.move({}, 1, '30000000', 10, {})", "must be numbers, not a number and a string");
    refused("return table.move({}, '1', 30000000, 10, {})", "must be numbers, not a string and a number");
    // The library makes the lowest of all indices of these.
    for lowest in ["0 / 0", "1e10", "-1e10", "math.huge"] {
        refused(&format!("return table.move({{}}, {lowest}, -2, 1, {{}})"), "more than one call may");
    }
    refused("return table.move({}, 1, 0 / 0, 1, {})", "more than one call may");
    for search in ["find", "match", "gmatch", "gsub", "split"] {
        let subject = "string.rep('1', 200000)";
        refused(&format!("return string.{search}({subject}, 123456789012345, '')"), "more than one call may");
    }
}

#[test]
fn one_call_that_takes_too_long_and_fails_is_out_of_time() {
    let limits = settings::Policy { time_limit: Duration::from_millis(5), memory_limit: 16 << 20, ..short_limits() };
    let policy = try_load(&script("return string.packsize(string.rep('x', 6e6) .. '?')"), limits).unwrap();
    let failure = Scene::running_in(None).ask(&policy).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Time, "{failure}");
}

#[test]
fn a_sort_with_a_bad_order() {
    runs_out_of_time("table.sort(table.create(1000, 1), function() while true do end end)");
    runs_out_of_time(
        "local t = {} for i = 1, 50 do t[i] = i end while true do pcall(table.sort, t, function() return true end) end",
    );
}

#[test]
fn a_sort_without_an_order_of_the_scripts_own() {
    let long = "local a, b = string.rep('a', 500000) .. 'a', string.rep('a', 500000) .. 'b' \
                local t = {} for i = 1, 20000 do t[i] = if i % 2 == 0 then a else b end ";
    runs_out_of_time(&format!("{long} table.sort(t)"));
    runs_out_of_time("local t = table.create(100000, 1) while true do table.sort(t, rawequal) end");
}

#[test]
fn a_memory_bomb() {
    let failure = stops(FailureKind::Memory, "local t = {} while true do t[#t + 1] = { t } end");
    assert!(failure.message.contains("4.0 MiB"), "{failure}");
}

#[test]
fn a_string_bomb() {
    runs_out_of_memory("return string.rep('x', 1e9)");
    runs_out_of_memory("local s = 'x' while true do s = s .. s end");
    runs_out_of_memory("return table.concat(table.create(1000, string.rep('x', 100000)))");
    runs_out_of_memory("return string.format('%s%s', string.rep('x', 3e6), 'x')");
    runs_out_of_memory("return string.gsub(string.rep('x', 1e5), 'x', string.rep('y', 1000))");
    runs_out_of_memory("return table.create(1e7)");
}

#[test]
fn a_print_copies_no_more_than_it_shows() {
    let before = most_memory();
    let body = "print(unpack(table.create(60, string.rep('x', 4e6)))) return relay.refuse('printed')";
    assert_eq!(hosts(&Scene::running_in(None).ask(&routing(body)).unwrap()), ["refused: printed"]);
    let grown = most_memory() - before;
    assert!(grown < 120 << 20, "{grown} bytes");
}

#[test]
fn a_print_looks_at_no_more_than_it_shows() {
    let body = "local asked = 0 local word = setmetatable({}, { __tostring = function() asked += 1 return '' end }) \
                print(unpack(table.create(5000, word))) return relay.refuse(tostring(asked))";
    assert_eq!(hosts(&Scene::running_in(None).ask(&routing(body)).unwrap()), ["refused: 1002"]);
}

/// The most memory that this process ever held, in bytes.
fn most_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn a_memory_bomb_in_a_coroutine() {
    runs_out_of_memory("coroutine.wrap(function() local t = {} while true do t[#t + 1] = {} end end)()");
    runs_out_of_memory("local t = {} while true do t[#t + 1] = coroutine.create(function() end) end");
}

#[test]
fn a_memory_bomb_of_facts_and_routes() {
    runs_out_of_memory("local t = {} while true do t[#t + 1] = request.build end");
    runs_out_of_memory("local t = {} while true do t[#t + 1] = relay.refuse(string.rep('x', 1000) .. #t) end");
}

#[test]
fn what_routes_hold_outside_of_lua_counts_as_well() {
    runs_out_of_memory(
        "local t, text = {}, string.rep('x', 65536)
         for n = 1, 500 do t[n] = relay.reply(text) end return relay.refuse('kept')",
    );
    runs_out_of_memory(
        "local way = relay.any(table.create(64, relay.connect{ host = 'a', port = 1 }))
         local t = {} for n = 1, 3000 do t[n] = relay.any({ way }) end return relay.refuse('kept')",
    );
}

#[test]
fn a_memory_bomb_whose_error_is_caught_is_over_when_it_is_caught() {
    let policy =
        try_load(&script("pcall(string.rep, 'x', 1e9) return relay.direct(request.build.worker)"), short_limits());
    let policy = policy.unwrap();
    for _ in 0..10 {
        assert_eq!(hosts(&Scene::running_in(None).ask(&policy).unwrap()), ["executor1"]);
    }
}

#[test]
fn memory_that_grows_from_call_to_call_costs_one_decision_and_starts_over() {
    let text = "local kept = {}\n".to_owned()
        + &script("kept[#kept + 1] = string.rep('x', 1e6) .. #kept return relay.direct(request.build.worker)");
    let policy = try_load(&text, short_limits()).unwrap();
    let outcomes: Vec<_> = (0..20).map(|_| Scene::running_in(None).ask(&policy)).collect();
    let failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!((2..=10).contains(&failed.len()), "{failed:?}");
    assert!(failed.iter().all(|failure| failure.kind == FailureKind::Memory), "{failed:?}");
    assert!(outcomes.windows(2).all(|pair| pair[0].is_ok() || pair[1].is_ok()), "{outcomes:?}");
}

#[test]
fn memory_may_run_out_at_any_allocation_of_a_decision() {
    // Luau allocates by the page: what is kept makes every kind of value need a page at some time.
    let policy = routing(
        "local kept = {} for i = 1, 150 do \
         kept[i] = { request.build.worker, relay.via(relay.gateways('there')), request.identity, tostring(i) } end \
         return { relay.via(relay.gateways('there')), relay.direct(request.build.worker) }",
    );
    let world = Scene::running_in(None).with(vec![gateway("gw", "there", State::Running)]);
    let mut failed = 0;
    for spare in (0..200_000).step_by(2000) {
        // A new engine where the last one failed.
        assert_eq!(hosts(&world.ask(&policy).unwrap()), ["gw", "executor1"]);
        policy.with_engine(|engine| {
            engine.lua().gc_collect().unwrap();
            engine.lua().set_memory_limit(engine.lua().used_memory() + spare).unwrap()
        });
        match world.ask(&policy) {
            Ok(route) => {
                assert_eq!(hosts(&route), ["gw", "executor1"]);
                policy.with_engine(|engine| engine.lua().set_memory_limit(16 << 20).unwrap());
            }
            Err(failure) => {
                assert_eq!(failure.kind, FailureKind::Memory, "{failure}");
                failed += 1;
            }
        }
    }
    assert!((10..95).contains(&failed), "{failed}");
}

#[test]
fn memory_may_run_out_at_any_allocation_of_a_load() {
    let text = script("return relay.refuse('x')");
    let needed = load(&text).with_engine(|engine| engine.lua().used_memory());
    let load_with = |memory_limit| try_load(&text, settings::Policy { memory_limit, ..settings::Policy::default() });
    for memory_limit in (needed - 5_000..needed).step_by(64) {
        if let Err(error) = load_with(memory_limit) {
            assert!(error.message.contains("memory_limit"), "{error}");
        }
    }
    assert!(load_with(needed - 5_000).is_err());
    assert!(load_with(needed * 2).is_ok());
}

#[test]
fn a_script_that_never_finishes_loading_is_no_policy() {
    let error = try_load("local policy = { api = 1 }\nwhile true do end return policy", short_limits()).unwrap_err();
    assert_eq!((error.line, error.excerpt.as_deref()), (Some(2), Some("while true do end return policy")));
    let error = try_load("return string.rep('x', 1e9)", short_limits()).unwrap_err();
    assert!(error.message.contains("memory_limit"), "{error}");
}
