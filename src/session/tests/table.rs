//! The table that scripts share, from one generation to the next.

use std::time::Instant;

use super::super::*;
use super::Site;
use crate::policy::shared::Value;
use crate::upstream::Itself;

#[tokio::test]
async fn what_expired_in_the_shared_table_goes_with_a_reload_and_the_rest_stays() {
    let site = Site::new().await;
    let table = &site.shared.world.shared;
    let now = Instant::now();
    let value = || Value::Number(1.0);
    table.set("stays", value(), None, now).unwrap();
    let alone = table.bytes();
    let long_ago = now.checked_sub(Duration::from_secs(2)).unwrap();
    table.set("expired", value(), Some(Duration::from_secs(1)), long_ago).unwrap();
    assert!(table.bytes() > alone);
    site.shared.publish(site.shared.generation(), Itself::default());
    assert_eq!(table.bytes(), alone);
    assert_eq!(table.get("stays", now), Some(value()));
}
