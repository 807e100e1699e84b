use super::*;

fn covers(a: &str, b: &str) -> bool {
    Hostname::new(a).covers(&Hostname::new(b))
}

#[test]
fn wildcards_cover_deeper_names_only() {
    assert!(
        covers("*.b.c", "a.b.c")
            && covers("*.b.c", "x.a.b.c")
            && covers("*.b.c", "*.a.b.c")
            && covers("*.b.c", "*.b.c")
    );
    assert!(
        !covers("*.b.c", "b.c") && !covers("*.b.c", ".b.c") && !covers("*.a.b.c", "*.b.c") && !covers("a.b.c", "*.b.c")
    );
    assert!(covers("*", "a") && covers("*", "*.b"));
    assert!(!covers("*.b.c", "ab.c"));
}

#[test]
fn the_closest_cover_wins() {
    let hosts = ["*", "*.test", "*.depot.test", "*.eu.depot.test"].map(Hostname::new);
    let pick = |host| shortest_cover(&Hostname::new(host), hosts.iter().map(|h| (h, ()))).map(|(h, ())| h.to_string());
    assert_eq!(pick("west.depot.test").as_deref(), Some("*.depot.test"));
    assert_eq!(pick("x.eu.depot.test").as_deref(), Some("*.eu.depot.test"));
    assert_eq!(pick("other"), Some("*".into()));
}

#[test]
fn short_names_belong_to_the_namespace_of_their_object() {
    assert_eq!(Hostname::resolve("cart", "shop", "cluster.local").as_str(), "cart.shop.svc.cluster.local");
    assert_eq!(Hostname::resolve("cart.shop", "x", "cluster.local").as_str(), "cart.shop");
    assert_eq!(Hostname::resolve("*", "x", "cluster.local").as_str(), "*");
    assert_eq!(Hostname::new("Cart.Shop").as_str(), "cart.shop");
}
