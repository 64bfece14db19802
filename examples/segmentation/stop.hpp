#pragma once

namespace segment {

/// Thrown where work stops because the user asked for it. `signal` gives the exit code 128 + signal.
struct Stopped {
  int signal;
};

/// While alive, the first Ctrl-C (SIGINT) or SIGTERM only sets a flag, so that the program can stop at a good
/// place; the second ends it at once. One at a time.
class StopGuard {
 public:
  StopGuard();
  ~StopGuard();
  StopGuard(const StopGuard&) = delete;
  StopGuard& operator=(const StopGuard&) = delete;
};

/// The signal that came, 0 while none has.
int stop_signal();

/// Throws Stopped once a signal has come.
void throw_if_stopped();

}  // namespace segment
