#include "examples/segmentation/stop.hpp"

#include <csignal>

namespace segment {
namespace {

volatile std::sig_atomic_t received = 0;

struct sigaction previous_interrupt, previous_terminate;

void restore() {
  ::sigaction(SIGINT, &previous_interrupt, nullptr);
  ::sigaction(SIGTERM, &previous_terminate, nullptr);
}

void on_signal(int signal) {  // async-signal-safe: sigaction and a flag
  received = signal;
  restore();
}

}  // namespace

StopGuard::StopGuard() {
  received = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &previous_interrupt);
  ::sigaction(SIGTERM, &action, &previous_terminate);
}

StopGuard::~StopGuard() { restore(); }

int stop_signal() { return received; }

void throw_if_stopped() {
  if (received != 0) throw Stopped{received};
}

}  // namespace segment
