use super::*;

#[test]
fn the_bound_doubles_up_to_30_s_and_begins_again_after_a_response() {
    let mut clients: Vec<Backoff> = (0..200).map(Backoff::new).collect();
    for bound in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
        let waits: Vec<u128> = clients.iter_mut().map(|client| client.next().as_millis()).collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*most < bound && *most > bound * 8 / 10 && *least < bound / 5, "{least} to {most} of {bound}");
    }
    clients.iter_mut().for_each(Backoff::reset);
    assert!(clients.iter_mut().all(|client| client.next().as_millis() < 500));
}
