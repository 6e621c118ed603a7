//! The table beside a simple model of what lives in a cluster.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What a pod of the model is at a moment.
#[derive(Clone, Debug)]
struct Life {
    uid: u8,
    host_network: bool,
    phase: &'static str,
    ips: BTreeSet<u8>,
    containers: BTreeSet<u8>,
}

impl Life {
    fn object(&self, name: u8) -> Value {
        let ips: Vec<_> = self.ips.iter().map(|ip| json!({ "ip": format!("10.0.0.{ip}") })).collect();
        let status = |id: &u8| {
            json!({
                "name": format!("c{id}"), "ready": true, "restartCount": 0, "image": "", "imageID": "",
                "containerID": format!("containerd://{}", self.container(*id)),
            })
        };
        json!({
            "metadata": { "name": format!("p{name}"), "namespace": "shop", "uid": self.uid(name) },
            "spec": { "containers": [], "hostNetwork": self.host_network, "nodeName": "n1" },
            "status": {
                "phase": self.phase, "podIPs": ips, "hostIP": "10.0.0.1",
                "containerStatuses": self.containers.iter().map(status).collect::<Vec<_>>(),
            },
        })
    }

    /// Never given out again, unlike the pod's name.
    fn uid(&self, name: u8) -> String {
        format!("uid-{name}-{}", self.uid)
    }

    fn container(&self, id: u8) -> String {
        format!("id-{}-{id}", self.uid)
    }

    fn has(&self, ip: u8) -> bool {
        !self.host_network && matches!(self.phase, "Pending" | "Running") && self.ips.contains(&ip)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, Life),
    Gone(u8),
    Relist(BTreeMap<u8, Life>),
    Wait(u64),
    Failed,
    Works,
}

fn lives() -> impl Strategy<Value = Life> {
    let some = |most: u8| proptest::collection::btree_set(1..=most, 0..3);
    let phase = prop_oneof![
        1 => Just("Pending"), 5 => Just("Running"), 1 => Just("Succeeded"), 1 => Just("Failed"), 1 => Just("Unknown")
    ];
    (0_u8..3, prop::bool::weighted(0.2), phase, some(3), some(4))
        .prop_map(|(uid, host_network, phase, ips, containers)| Life { uid, host_network, phase, ips, containers })
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0_u8..4, lives()).prop_map(|(name, life)| Step::Set(name, life)),
        2 => (0_u8..4).prop_map(Step::Gone),
        1 => proptest::collection::btree_map(0_u8..4, lives(), 0..4).prop_map(Step::Relist),
        3 => (1_u64..400).prop_map(Step::Wait),
        1 => Just(Step::Failed),
        1 => Just(Step::Works),
    ]
}

/// What is there, when what is not ended, and since when the server is away.
#[derive(Default)]
struct Model {
    there: BTreeMap<u8, Life>,
    ended: BTreeMap<String, (Instant, String)>,
    failed: Option<Instant>,
}

impl Model {
    /// Everything that finds a pod for good, and the pod's UID.
    fn names(name: u8, life: &Life) -> BTreeMap<String, String> {
        let ids = life.containers.iter().map(|id| format!("{name}/{}", life.container(*id)));
        ids.chain([life.uid(name)]).map(|found_by| (found_by, life.uid(name))).collect()
    }

    fn end(&mut self, name: u8, now: Instant) {
        let Some(life) = self.there.remove(&name) else { return };
        self.ended.extend(Self::names(name, &life).into_iter().map(|(found_by, uid)| (found_by, (now, uid))));
    }

    fn set(&mut self, name: u8, life: Life, now: Instant) {
        self.end(name, now);
        self.there.insert(name, life);
    }

    fn by_name(&self, found_by: &str, now: Instant) -> Option<String> {
        let there = self.there.iter().find_map(|(name, life)| Self::names(*name, life).remove(found_by));
        let ended = self.ended.get(found_by).filter(|(since, _)| now < *since + LATE).map(|(_, uid)| uid.clone());
        there.or(ended)
    }

    fn by_ip(&self, ip: u8, now: Instant) -> Result<Option<String>, ()> {
        let holders: Vec<_> = self.there.iter().filter(|(_, life)| life.has(ip)).collect();
        match holders[..] {
            [] => Ok(None),
            [_] if self.failed.is_some_and(|since| now > since + BELIEVED) => Err(()),
            [(name, life)] => Ok(Some(life.uid(*name))),
            _ => Err(()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_table_knows_what_a_simple_model_knows(steps in proptest::collection::vec(steps(), 1..40)) {
        // Ids of containers are made of the pod's number too, so that no two pods of the model share one.
        let object = |name: u8, life: &Life| {
            let mut object = life.object(name);
            for status in object["status"]["containerStatuses"].as_array_mut().expect("an array") {
                let id = status["containerID"].as_str().expect("a text").replace("://", &format!("://{name}/"));
                status["containerID"] = json!(id);
            }
            keep(object)
        };
        let (mut table, mut model, mut now) = (Table::new(MOST_BYTES), Model::default(), Instant::now());
        for step in steps {
            match step {
                Step::Set(name, life) => {
                    table.take(Event::Set(key(&format!("p{name}")), object(name, &life)), now);
                    // A phase that nobody knows is not one that has ended.
                    let phase = if life.phase == "Unknown" { "Running" } else { life.phase };
                    model.set(name, Life { phase, ..life }, now);
                }
                Step::Gone(name) => {
                    table.take(Event::Gone(key(&format!("p{name}"))), now);
                    model.end(name, now);
                }
                Step::Relist(lives) => {
                    table.take(Event::Listing, now);
                    let gone: Vec<u8> = model.there.keys().filter(|name| !lives.contains_key(name)).copied().collect();
                    for (name, life) in lives {
                        table.take(Event::Set(key(&format!("p{name}")), object(name, &life)), now);
                        let phase = if life.phase == "Unknown" { "Running" } else { life.phase };
                        model.set(name, Life { phase, ..life }, now);
                    }
                    table.take(Event::Listed, now);
                    gone.into_iter().for_each(|name| model.end(name, now));
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
                Step::Failed => {
                    table.take(Event::Failed("away".into()), now);
                    model.failed = model.failed.or(Some(now));
                }
                Step::Works => {
                    table.take(Event::Works, now);
                    model.failed = None;
                }
            }
            table.sweep(now);
            let uid = |pod: &Arc<Pod>| pod.uids[0].to_string();
            prop_assert_eq!(table.len(), model.there.len());
            for ip in 1..=3 {
                let found = match table.by_ip(IpAddr::from([10, 0, 0, ip]), now) {
                    ByIp::One(pod) => Ok(Some(uid(pod))),
                    ByIp::None => Ok(None),
                    ByIp::Unsure => Err(()),
                };
                prop_assert_eq!(found, model.by_ip(ip, now), "10.0.0.{}", ip);
            }
            for name in 0..4 {
                for version in 0..3 {
                    let known = format!("uid-{name}-{version}");
                    prop_assert_eq!(table.by_uid(&known).map(uid), model.by_name(&known, now), "{}", known);
                    for container in 1..=4 {
                        let id = format!("{name}/id-{version}-{container}");
                        prop_assert_eq!(table.by_container(&id).map(uid), model.by_name(&id, now), "{}", id);
                    }
                }
            }
        }
        table.take(Event::Listing, now);
        table.take(Event::Listed, now);
        table.sweep(now + LATE);
        prop_assert_eq!((table.len(), table.bytes()), (0, 0));
    }

    #[test]
    fn it_never_holds_more_than_it_may(names in proptest::collection::vec(0_u16..60, 1..200)) {
        let (mut table, now) = (Table::new(16 << 10), Instant::now());
        for name in names {
            let life = Life { uid: 0, host_network: false, phase: "Running", ips: [1].into(), containers: [1].into() };
            let mut object = life.object(0);
            object["metadata"]["uid"] = json!(format!("uid-{name}"));
            object["metadata"]["labels"] = json!({ "team": "x".repeat(usize::from(name) * 10) });
            table.take(Event::Set(key(&name.to_string()), keep(object)), now);
            prop_assert!(table.bytes() <= 16 << 10, "{}", table.bytes());
        }
        prop_assert!(table.len() > 0);
    }
}
