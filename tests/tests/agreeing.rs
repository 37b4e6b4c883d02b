//! The first objects, an agreement of two parties and a change undone, from the command line.

use spillway_tests::binary::folder;
use spillway_tests::installation::{free_address, until};
use spillway_tests::running::{printed, ran, refused, up};

const SITE: &str = "kind: site\nclient: acme\nname: shop\nhosts: [www.shop.example]\ncdns: [edge-one]\n\
    objectives: [{metric: response_time, threshold: 150ms, probes_min: 1}]\n";
const GOLD: &str = "kind: agreement\nname: gold\nclient: acme\nsites: [shop]\n\
    effective_from: 2100-01-01T00:00:00Z\nobjectives: [{metric: response_time, threshold: 300ms}]\n";

/// The words behind a label of what `agreement show` prints.
fn term(shown: &str, label: &str) -> String {
    let line = shown.lines().find_map(|line| line.trim_start().strip_prefix(label));
    line.unwrap_or_else(|| panic!("no {label}: {shown}")).trim().to_owned()
}

#[test]
fn two_parties_agree_on_the_command_line() {
    let at = folder("agreeing");
    let api = free_address();
    let _up = up(&at.join("data"), &api);
    let write = |name: &str, text: &str| {
        let file = at.join(name);
        std::fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        file.display().to_string()
    };
    let with_api =
        |words: &[&str]| [words, &["--api", &api]].concat().into_iter().map(String::from).collect::<Vec<_>>();
    let does = |words: &[&str]| printed(&with_api(words));
    let fails = |words: &[&str]| refused(&with_api(words));
    let all = |words: &[&str]| ran(&with_api(words));
    until("the API", || all(&["get", "clients"]).0 == Some(0));

    assert!(does(&["client", "add", "acme", "--title", "Acme Ltd."]).starts_with("+ client acme\n"));
    assert!(fails(&["client", "add", "acme"]).contains("client acme exists"));
    does(&["network", "add", "carrier-a", "--prefix", "192.0.2.0/24", "--prefix", "2001:db8::/32"]);
    does(&["cdn", "add", "edge-one", "--type", "operated", "--dns-name", "edge.example", "--dry-run"]);
    does(&["cdn", "add", "edge-one", "--type", "operated", "--dns-name", "edge.example"]);
    does(&["probe", "add", "agent-1", "--network", "carrier-a"]);
    does(&["apply", "-f", &write("site.yaml", SITE)]);
    assert!(does(&["get", "networks"]).contains("192.0.2.0/24 and 1 more"));

    let create = ["token", "create", "--role", "client_admin", "--subject", "acme", "--note", "test"];
    // What was changed is told on standard error.
    let (_, token, _) = all(&create);
    let admin = write("admin", &token);
    let client_does = |words: &[&str]| printed(&with_api(&[words, &["--token-file", &admin]].concat()));
    let gold = write("gold.yaml", GOLD);
    let proposed = does(&["agreement", "propose", "-f", &gold]);
    assert!(proposed.contains("shop: an outage shows after 40s, its end after 570s"), "{proposed}");
    let shown = client_does(&["agreement", "show", "gold/1"]);
    let digest = term(&shown, "terms");
    assert!(
        shown.starts_with("agreement gold/1 with client acme: proposed, proposed by the provider"),
        "{shown}"
    );
    let by_itself = fails(&["agreement", "accept", "gold/1", "--terms", &digest]);
    assert!(by_itself.contains("it cannot be accepted by the provider"), "{by_itself}");
    let accepted = client_does(&["agreement", "accept", "gold/1", "--terms", &digest]);
    assert!(accepted.contains("accepted by the client, from 2100-01-01T00:00:00Z on"), "{accepted}");

    // What the document says of the level is agreed elsewhere by now.
    let other = fails(&["apply", "-f", &write("other.yaml", &SITE.replace("150ms", "200ms"))]);
    assert!(other.contains("objectives: are agreed in gold"), "{other}");
    let (code, out, warning) = all(&["apply", "-f", &write("site.yaml", SITE)]);
    assert!(code == Some(0) && out.starts_with("nothing to change"), "{out}");
    assert_eq!(warning, "warning: site shop: objectives: have no effect, agreement gold has\n");

    write("gold.yaml", &GOLD.replace("300ms", "250ms"));
    client_does(&["agreement", "propose", "-f", &gold]);
    let differs = does(&["agreement", "diff", "gold/1", "gold/2"]);
    assert!(differs.contains("threshold 300ms") && differs.contains("threshold 250ms"), "{differs}");
    does(&["agreement", "reject", "gold/2", "--reason", "too strict"]);
    let rejected = client_does(&["agreement", "show", "gold/2"]);
    assert_eq!(term(&rejected, "reason"), "too strict");
    assert!(does(&["get", "agreements"]).contains("gold/1   acme    scheduled"));

    // A change of the site is undone; the acceptance is not.
    let wider = SITE.replace("www.shop.example", "www.shop.example, shop.example");
    assert_eq!(all(&["apply", "-f", &write("site.yaml", &wider)]).0, Some(0));
    let number = does(&["changes", "--limit", "1"]).split(' ').next().unwrap_or_default().to_owned();
    assert!(does(&["undo", &number]).starts_with("~ site shop: hosts - shop.example\n"));
    assert!(fails(&["undo", "99"]).contains("there is no record 99"));
    let changes = does(&["changes", "--kind", "agreement", "--name", "gold/1"]);
    let accepted =
        changes.lines().next().unwrap_or_default().split(' ').next().unwrap_or_default().to_owned();
    assert!(fails(&["undo", &accepted]).contains("an agreement, which its own commands change"));
}
