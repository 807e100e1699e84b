use super::*;

#[test]
fn percentiles_are_of_the_nearest_rank() {
    assert_eq!(Percentiles::of(Vec::new()), Percentiles::default());
    assert_eq!(Percentiles::of(vec![7]), Percentiles { p50: 7, p99: 7, max: 7 });
    let hundred = Percentiles::of((1..=100).rev().collect());
    assert_eq!(hundred, Percentiles { p50: 50, p99: 99, max: 100 });
    let thousand = Percentiles::of((1..=1000).collect());
    assert_eq!(thousand, Percentiles { p50: 500, p99: 990, max: 1000 });
}

#[test]
fn responses_that_say_nothing_are_counted_apart_and_a_mark_forgets_all() {
    let counts = Counts::default();
    let says = Counted { messages: 1, bytes: 10, resources: 2, removed: 1 };
    let nothing = Counted { messages: 1, bytes: 4, ..Counted::default() };
    counts.response(Some(Kind::Eds), nothing, 5);
    assert_eq!((counts.empty(), counts.of(Kind::Eds)), (nothing, Counted::default()));
    assert_eq!(counts.first.load(Relaxed), 0);
    counts.response(Some(Kind::Eds), says, 6);
    counts.response(Some(Kind::Eds), says, 7);
    assert_eq!(counts.of(Kind::Eds), Counted { messages: 2, bytes: 20, resources: 4, removed: 2 });
    assert_eq!(counts.first.load(Relaxed), 6);
    (0..2 * TEXTS).for_each(|number| counts.error(format!("error {number}")));
    assert_eq!((counts.errors.load(Relaxed), counts.why().len()), (2 * TEXTS as u64, TEXTS));
    counts.mark(9);
    assert_eq!((counts.of(Kind::Eds), counts.empty(), counts.why().len()), (says_nothing(), says_nothing(), 0));
    assert_eq!((counts.first.load(Relaxed), counts.errors.load(Relaxed), counts.marked.load(Relaxed)), (0, 0, 9));
}

fn says_nothing() -> Counted {
    Counted::default()
}
