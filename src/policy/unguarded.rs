//! Makes the relay's own small values in a machine whose memory is limited, where the limit is far. Never lets a script
//! hold more than its limit by it.
//!
//! Under a limit every allocation from Rust may fail, so mlua makes each in a protected call, which costs several times
//! what it protects. An allocation that cannot come near the limit needs no such guard.

use mlua::Lua;

/// More than what one `make` allocates, in bytes.
const ROOM: usize = 64 << 10;

/// Puts a limit back, however the work without it ends.
struct Lifted<'a> {
    lua: &'a Lua,
    limit: usize,
}

/// Does `make` with nothing to stop it if there is room enough for it, and under the limit otherwise.
pub(super) fn unguarded<T>(lua: &Lua, make: impl FnOnce() -> mlua::Result<T>) -> mlua::Result<T> {
    let lifted = Lifted { lua, limit: lua.set_memory_limit(0)? };
    if lua.used_memory() + ROOM < lifted.limit {
        return make();
    }
    drop(lifted);
    make()
}

impl Drop for Lifted<'_> {
    fn drop(&mut self) {
        // Lifting it worked, so does this.
        let _was = self.lua.set_memory_limit(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use mlua::Value;

    use super::*;

    fn fill(lua: &Lua) -> mlua::Result<Vec<Value>> {
        (0..1_000_000).map(|_| unguarded(lua, || lua.create_table().map(Value::Table))).collect()
    }

    #[test]
    fn the_limit_holds_however_much_is_made() {
        let lua = Lua::new();
        let limit = lua.used_memory() + 4 * ROOM;
        lua.set_memory_limit(limit).unwrap();
        let error = fill(&lua).unwrap_err();
        assert!(matches!(error, mlua::Error::MemoryError(_)), "{error}");
        assert!(lua.used_memory() <= limit);
        assert_eq!(lua.set_memory_limit(0).unwrap(), limit);
    }

    #[test]
    fn the_limit_is_back_after_a_failure() {
        let lua = Lua::new();
        let limit = lua.used_memory() + 4 * ROOM;
        lua.set_memory_limit(limit).unwrap();
        unguarded(&lua, || Err::<(), _>(mlua::Error::runtime("no"))).unwrap_err();
        assert_eq!(lua.set_memory_limit(0).unwrap(), limit);
    }
}
