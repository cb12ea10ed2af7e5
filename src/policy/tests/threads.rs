//! Engines on many threads, and their end with their policy.

use std::thread;

use super::*;

#[test]
fn threads_decide_at_the_same_time() {
    let policy = &builtin(here());
    let decide = |n: u32| {
        let name = format!("gw{n}");
        let world = Scene::running_in(Some("there")).with(vec![gateway(&name, "there", State::Running)]);
        (0..500).for_each(|_| assert_eq!(hosts(&world.ask(policy).unwrap()), [name.as_str()]));
    };
    thread::scope(|scope| {
        for n in 0..4 {
            scope.spawn(move || decide(n));
        }
    });
}

#[test]
fn a_runaway_on_one_thread_leaves_another_alone() {
    let text = script("if not request.build then while true do end end return relay.direct(request.build.worker)");
    let policy = try_load(&text, short_limits()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..5 {
                assert_eq!(Scene::without_build().ask(&policy).unwrap_err().kind, FailureKind::Time);
            }
        });
        for _ in 0..500 {
            assert_eq!(hosts(&Scene::running_in(None).ask(&policy).unwrap()), ["executor1"]);
        }
    });
}

#[test]
fn two_policies_on_one_thread_share_nothing() {
    let count = "local n = 0\n".to_owned() + &script("n += 1 return relay.refuse(tostring(n))");
    let (one, other) = (load(&count), load(&count));
    let world = Scene::without_build();
    assert_eq!(hosts(&world.ask(&one).unwrap()), ["refused: 1"]);
    assert_eq!(hosts(&world.ask(&one).unwrap()), ["refused: 2"]);
    assert_eq!(hosts(&world.ask(&other).unwrap()), ["refused: 1"]);
}

#[test]
fn engines_go_with_their_policy() {
    let policy = builtin(here());
    let world = Scene::running_in(None);
    let mut watches: Vec<_> = thread::scope(|scope| {
        let ask = || {
            world.ask(&policy).unwrap();
            policy.with_engine(|engine| Arc::downgrade(engine.watch()))
        };
        [scope.spawn(ask), scope.spawn(ask)].map(|thread| thread.join().unwrap()).into()
    });
    watches.push(policy.with_engine(|engine| Arc::downgrade(engine.watch())));
    let clone = policy.clone();
    drop(policy);
    assert!(watches.iter().all(|watch| watch.upgrade().is_some()));
    drop(clone);
    assert!(watches.iter().all(|watch| watch.upgrade().is_none()));
}

#[test]
fn memory_is_flat_over_many_decisions() {
    let policy = builtin(here());
    let gateways = || (0..5).map(|n| gateway(&format!("gw{n}"), "there", State::Running)).collect();
    let world = Scene::running_in(Some("there")).with(gateways());
    let after = |decisions: usize| {
        (0..decisions).for_each(|_| assert!(world.ask(&policy).is_ok()));
        policy.with_engine(|engine| {
            // Twice: the first pass may find what only the second may free.
            engine.lua().gc_collect().unwrap();
            engine.lua().gc_collect().unwrap();
            engine.lua().used_memory()
        })
    };
    let before = after(100);
    assert_eq!(after(10_000), before);
    assert!(before < 1 << 20, "{before} bytes at rest");
}

#[test]
fn memory_is_flat_over_many_failures() {
    let policy = routing("return request.nothing");
    let world = Scene::without_build();
    let after = |decisions: usize| {
        (0..decisions).for_each(|_| assert!(world.ask(&policy).is_err()));
        policy.with_engine(|engine| {
            engine.lua().gc_collect().unwrap();
            engine.lua().gc_collect().unwrap();
            engine.lua().used_memory()
        })
    };
    let before = after(100);
    // Luau takes memory by the page, and what survives lies in one page more or less.
    const PAGE: usize = 16 << 10;
    assert!(after(4_000) <= before + PAGE);
}
