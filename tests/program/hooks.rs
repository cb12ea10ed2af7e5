//! What a policy does beside routing, as viewers and operators see it: who may ask at all, and what is counted of ends.

use serde_json::json;

use crate::site::{BUILD, Site};
use crate::support::executor::Executor;
use crate::support::viewer::Viewer;

/// At most two streams an address and minute; tells how the last one ended.
const POLICY: &str = r#"
local policy = { api = 1 }

function policy.accept(connection)
  local asked = relay.shared.add("asked/" .. connection.peer, 1, 60)
  if asked > 2 then return relay.refuse("Come back later", { tags = { why = "rate" } }) end
  return relay.allow{ max_duration = 600, tags = { asked = tostring(asked) } }
end

function policy.route(request)
  if request.query == "last" then return relay.reply(relay.shared.get("last") or "none") end
  return relay.direct(request.build.worker)
end

function policy.ended(record)
  relay.shared.set("last", `{record.uuid} {record.ending} {record.bytes} {record.tags.asked}`)
end

return policy
"#;

#[tokio::test]
async fn a_policy_lets_in_keeps_out_and_counts() {
    let executor = Executor::new().await;
    let site = Site::with_executor(executor.port()).and("policy: {file: policy.lua}\nlog: {format: json}\n");
    site.write("policy.lua", POLICY);
    let relay = site.start().await;

    let mut first = site.watch(BUILD).await;
    executor.next().await.send(b"the log").await;
    assert_eq!(first.rest().await, b"the log");
    drop(first);
    relay.until_metric("fingerpost_streams_open{listener=\"finger\"}", 0).await;

    let mut second = site.watch("last").await;
    assert_eq!(second.rest().await, format!("{BUILD} complete 7 1").into_bytes());
    drop(second);
    // Its end is its own affair, and its record has no place in the order of others.
    relay.until_metric("fingerpost_streams_open{listener=\"finger\"}", 0).await;

    let mut third = Viewer::plain(site.address()).await;
    assert_eq!(third.rest().await, b"Come back later", "it is not even asked what it wants");
    drop(third);

    let records = relay.stop().await.records();
    let endings: Vec<_> = records.iter().map(|record| (&record["ending"], &record["tags"])).collect();
    let (refused, replied) = (json!("refused"), json!("replied"));
    assert_eq!(endings[1], (&replied, &json!("{\"asked\":\"2\"}")), "{records:?}");
    assert_eq!(endings[2], (&refused, &json!("{\"why\":\"rate\"}")), "{records:?}");
}
