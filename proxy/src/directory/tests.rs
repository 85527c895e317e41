//! Where taps lead, and what is kept on disk.

use super::*;
use crate::redirect::Campaign;
use hyper::http::uri::PathAndQuery;
use std::time::SystemTime;

const KEY: [u8; 16] = [7; 16];

fn row(kind: &str, id: i64, name: Option<&str>, content: Option<&str>, ids: Ids) -> RouteRow {
    RouteRow {
        kind: kind.to_owned(),
        id,
        name: name.map(str::to_owned),
        content: content.map(str::to_owned),
        content_type: Some("text/plain".to_owned()),
        ids,
    }
}

fn table() -> RouteTable {
    let send = Ids { campaign_id: Some(456), variant_id: Some(1), offer_id: Some(789), ..Ids::default() };
    RouteTable::default().with(
        vec![
            row(
                "offer",
                789,
                None,
                Some("https://n.example/{campaign_id}/{send_id}?c={click_id}&v={variant_id}&g={segment_id}&s={sub1}"),
                Ids::default(),
            ),
            row("send", 5, None, None, send),
            row("campaign", 456, None, None, Ids { offer_id: Some(789), ..Ids::default() }),
            row("alias", LinkId::new(5, 9, 2).unwrap().to_bigint(), Some("spring"), None, Ids::default()),
            row("network", 1, Some("default"), Some("OK"), Ids::default()),
            row("network", 2, Some("tune"), Some("success=true;"), Ids::default()),
        ],
        true,
    )
}

fn tap(target: Target) -> Tap {
    Tap { target, client: [127, 0, 0, 1].into(), purpose: None, user_agent: None, is_head: false }
}

fn link(code: &str, click_id: Option<ClickIdText>) -> Tap {
    let path = PathAndQuery::try_from(format!("/{code}")).unwrap();
    tap(Target::Link { path, length: code.len(), click_id })
}

fn campaign(campaign_id: i64, offer_id: Option<i64>) -> Tap {
    let subs = Some(serde_json::json!({"sub1": "a b"}));
    let campaign = Campaign { campaign_id, offer_id, click_id: Some("a1".to_owned()), subs };
    tap(Target::Campaign { campaign: Box::new(campaign), at: SystemTime::now() })
}

fn led(tap: &Tap) -> Option<String> {
    let key = CodeKey::new(&KEY).unwrap();
    match table().lead(tap, Some(&key)) {
        Lead::To { location, .. } => Some(location.to_str().unwrap().to_owned()),
        Lead::Nowhere => None,
        Lead::NotKnown => Some("not known".to_owned()),
    }
}

fn code_of(send_id: u32) -> String {
    CodeKey::new(&KEY).unwrap().encode(LinkId::new(send_id, 9, 1).unwrap()).as_str().to_owned()
}

#[test]
fn codes_and_campaigns_lead_to_their_offers() {
    let id = new_id(9);
    let expected = format!("https://n.example/456/5?c={}&v=1&g=&s=", id.as_str());
    assert_eq!(led(&link(&code_of(5), Some(id))), Some(expected));
    let expected = "https://n.example/456/?c=a1&v=&g=&s=a%20b".to_owned();
    assert_eq!(led(&campaign(456, None)), Some(expected.clone()));
    assert_eq!(led(&campaign(456, Some(789))), Some(expected));
    assert_eq!(led(&campaign(457, None)).as_deref(), Some("not known"), "it may be new");
    assert_eq!(
        led(&campaign(456, Some(790))).as_deref(),
        Some("not known"),
        "an offer that is not known is not replaced"
    );
}

#[test]
fn alias_gets_a_click_id_in_the_bucket_of_its_link() {
    let Lead::To { location, minted: Some(minted) } = table().lead(&link("spring", None), None) else {
        panic!("no id")
    };
    assert!(location.to_str().unwrap().contains(minted.as_str()));
    assert_eq!(postback_core::click_id::ClickId::parse(minted.as_str()).unwrap().bucket(), 9);
    assert_eq!(table().alias_bucket("spring"), Some(9));
}

#[test]
fn code_of_a_later_send_is_not_denied() {
    assert_eq!(led(&link(&code_of(6), None)).as_deref(), Some("not known"));
    assert_eq!(led(&link(&code_of(4), None)), None);
    assert_eq!(led(&link("winter", None)).as_deref(), Some("not known"), "an alias may be new, too");
}

#[test]
fn newest_sends_join_the_older_ones_and_everything_else_is_replaced() {
    let newer = table().with(
        vec![
            row("offer", 789, None, Some("https://n.example/new?c={click_id}"), Ids::default()),
            row("send", 6, None, None, Ids { offer_id: Some(789), ..Ids::default() }),
        ],
        false,
    );
    assert_eq!((newer.newest_send(), newer.sends.len(), newer.aliases.len()), (6, 2, 1));
    assert_eq!((newer.campaigns.len(), newer.offers[&789].as_str()), (0, "https://n.example/new?c={click_id}"));
    assert!(!newer.equals(&table()));
}

#[test]
fn routes_and_key_are_there_after_a_restart_and_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("postback-directory-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    let directory = Directory::open(&path, Arc::default());
    assert!(matches!(directory.lead(&link(&code_of(5), None)), Lead::NotKnown));
    directory.replace(table());
    directory.keep_key(&KEY);
    let directory = Directory::open(&path, Arc::default());
    assert!(directory.table().equals(&table()));
    assert!(matches!(directory.lead(&link(&code_of(5), None)), Lead::To { .. }));
    for file in [KEY_FILE, ROUTES_FILE] {
        assert_eq!(fs::metadata(path.join(file)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    fs::write(path.join(ROUTES_FILE), b"{").unwrap();
    assert!(Directory::open(&path, Arc::default()).table().is_empty());
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn routes_that_could_not_be_written_are_written_the_next_time() {
    let path = std::env::temp_dir().join(format!("postback-directory-full-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    let directory = Directory::open(&path, Arc::default());
    // In the way of the new file.
    let obstacle = path.join(format!("{ROUTES_FILE}.new"));
    fs::create_dir(&obstacle).unwrap();
    directory.replace(table());
    assert!(directory.table().equals(&table()) && !path.join(ROUTES_FILE).exists());
    fs::remove_dir(&obstacle).unwrap();
    directory.replace(table());
    assert!(Directory::open(&path, Arc::default()).table().equals(&table()));
    fs::remove_dir_all(path).unwrap();
}
