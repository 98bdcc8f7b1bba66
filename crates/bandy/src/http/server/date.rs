//! The `Date` field (RFC 9110, section 6.6.1): the same text for a second, and so made once a second.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

/// `Sun, 06 Nov 1994 08:49:37 GMT`
pub(super) type Date = [u8; 29];

thread_local! {
    static LAST: Cell<(i64, Date)> = const { Cell::new((i64::MIN, [b' '; 29])) };
}

/// Now.
pub(super) fn now() -> Date {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse).tv_sec;
    let (second, date) = LAST.get();
    if second == now {
        return date;
    }
    let date = print(now);
    LAST.set((now, date));
    date
}

fn print(second: i64) -> Date {
    let since = Duration::from_secs(u64::try_from(second).unwrap_or_default());
    let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since);
    // It always has that length, up to the year 9999.
    text.into_bytes().try_into().unwrap_or([b' '; 29])
}
