//! A TCP proxy that can go wrong: it refuses, cuts, or stops to forward without closing, as a network or a balancer does that has forgotten
//! a connection.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The proxy; connections end with it.
pub struct Between {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    targets: Mutex<Vec<SocketAddr>>,
    /// Both ends of every connection; a number each.
    open: Mutex<Vec<[TcpStream; 2]>>,
    accepted: AtomicU64,
    /// What was accepted before this one is silent.
    silent: AtomicU64,
    over: AtomicBool,
}

impl Between {
    /// Starts on a free port of loopback, in front of the first of these that takes a connection.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(targets: &[SocketAddr]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { targets: Mutex::new(targets.to_vec()), ..Shared::default() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.over.load(Ordering::Relaxed) {
                    return;
                }
                if let Ok(stream) = stream {
                    accepting.take(stream);
                }
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections came.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// From now on new connections go to the first of these that takes them; to none, they are closed at once.
    pub fn lead_to(&self, targets: &[SocketAddr]) {
        *self.shared.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets.to_vec();
    }

    /// Closes all connections.
    pub fn cut(&self) {
        for end in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..).flatten() {
            // One that is closed already cannot be closed again.
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// The connections there are stay open, and nothing goes through them any more.
    pub fn silence(&self) {
        self.shared.silent.store(self.accepted() + 1, Ordering::Relaxed);
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.cut();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn take(self: &Arc<Self>, here: TcpStream) {
        let number = self.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(there) = targets.iter().find_map(|target| TcpStream::connect(target).ok()) else { return };
        let _ = (here.set_nodelay(true), there.set_nodelay(true));
        let copies = || Some((here.try_clone().ok()?, there.try_clone().ok()?));
        let (Some((a, b)), Some((c, d))) = (copies(), copies()) else { return };
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push([here, there]);
        for (from, to) in [(a, b), (d, c)] {
            let shared = Arc::clone(self);
            std::thread::spawn(move || shared.forward(number, from, to));
        }
    }

    fn forward(&self, number: u64, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer).unwrap_or(0);
            if number < self.silent.load(Ordering::Relaxed) {
                // What came is lost, an end as well.
                if read == 0 {
                    return;
                }
                continue;
            }
            if read == 0 || to.write_all(&buffer[..read]).is_err() {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
        }
    }
}
