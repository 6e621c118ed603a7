//! What is listed, and what is said about it.

use std::fs;

use super::*;

fn pods(root: &Path, exclude_namespaces: &[&str], own: Option<Own>) -> Pods {
    let spanned: Vec<_> = exclude_namespaces.iter().map(|name| Spanned::unknown((*name).to_owned())).collect();
    let exclude = [names(&spanned).expect("patterns"), GlobSet::empty(), GlobSet::empty()];
    Pods::new(root.to_owned(), None, exclude, own)
}

fn layout() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    for path in [
        "shop_web-1_11-aa/web/0.log",
        "shop_web-1_11-aa/web/1.log",
        "shop_web-1_11-aa/web/1.log.20261123-010203",
        "shop_web-1_11-aa/istio/0.log",
        "kube-system_dns_22-bb/dns/0.log",
        "monitoring_tailwater-x_33-cc/agent/0.log",
        "not-a-pod/web/0.log",
    ] {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("has a folder")).expect("creates");
        fs::write(path, "").expect("writes");
    }
    root
}

fn listed(pods: &mut Pods) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    pods.list(&mut found).expect("readable");
    let root = pods.root.clone();
    let shown = |found: Found| {
        let path = found.path.strip_prefix(&root).expect("inside").to_string_lossy().into_owned();
        (path, found.ended)
    };
    found.into_iter().map(shown).collect()
}

#[test]
fn every_container_is_listed_but_what_is_excluded() {
    let root = layout();
    let own = Own { uid: None, pod: Some("tailwater-x".into()), namespace: Some("monitoring".into()) };
    let mut pods = pods(root.path(), &["kube-*"], Some(own));
    let expected = [
        ("shop_web-1_11-aa/istio/0.log", false),
        ("shop_web-1_11-aa/web/0.log", true),
        ("shop_web-1_11-aa/web/1.log", false),
    ];
    assert_eq!(listed(&mut pods), expected.map(|(path, ended)| (path.to_owned(), ended)));
}

#[test]
fn the_path_says_who_wrote_a_log() {
    let root = layout();
    let pods = pods(root.path(), &[], None);
    let path = root.path().join("shop_web-1_11-aa/web/1.log");
    let resource = pods.resource(&Found { target: path.clone(), path, ended: false });
    for (key, value) in [
        ("k8s.namespace.name", ResourceValue::from("shop")),
        ("k8s.pod.name", "web-1".into()),
        ("k8s.pod.uid", "11-aa".into()),
        ("k8s.container.name", "web".into()),
        ("k8s.container.restart_count", ResourceValue::Int(1)),
    ] {
        assert_eq!(resource.get(key), Some(&value), "{key}");
    }
}

#[test]
fn a_missing_folder_is_told() {
    let mut pods = pods(Path::new("/nonexistent/pods"), &[], None);
    assert!(pods.list(&mut Vec::new()).expect_err("told").contains("mount"));
}
