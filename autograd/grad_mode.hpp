#pragma once
// Whether operations on this thread are recorded.

namespace lucid {

namespace autograd {
bool is_recording();
void set_recording(bool on);

/// Sets recording for a scope and restores it at the end.
class RecordingGuard {
 public:
  explicit RecordingGuard(bool on) : before_(is_recording()) { set_recording(on); }
  ~RecordingGuard() { set_recording(before_); }
  RecordingGuard(const RecordingGuard&) = delete;
  RecordingGuard& operator=(const RecordingGuard&) = delete;

 private:
  bool before_;
};
}  // namespace autograd

/// `no_grad guard;` - nothing is recorded on this thread while it lives.
struct no_grad : autograd::RecordingGuard {
  no_grad() : RecordingGuard(false) {}
};

/// `enable_grad guard;` - recording goes on inside a no_grad scope.
struct enable_grad : autograd::RecordingGuard {
  enable_grad() : RecordingGuard(true) {}
};

}  // namespace lucid
