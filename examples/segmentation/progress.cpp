#include "examples/segmentation/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace segment {
namespace {

constexpr double loss_memory = 0.9;  // of the running mean
constexpr auto redraw_every = std::chrono::milliseconds(100);
constexpr int plain_lines = 20;  // over a whole run

int terminal_width(std::FILE* out) {
  winsize size{};
  return ::ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string clock_text(double seconds) {
  const auto whole =
      static_cast<long long>(std::clamp(std::isnan(seconds) ? 0.0 : seconds, 0.0, 3.6e8) + 0.5);
  char text[32];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
  }
  return text;
}

Progress::Progress(std::int64_t total, std::int64_t start, std::int64_t batch, std::FILE* out)
    : total_(total),
      start_(start),
      batch_(batch),
      step_(start),
      terminal_(::isatty(fileno(out)) == 1),
      out_(out) {}

Progress::~Progress() { finish(); }

void Progress::update(std::int64_t step, double loss) {
  const bool first = step_ == start_;
  loss_ = first || !std::isfinite(loss_) ? loss : loss_memory * loss_ + (1 - loss_memory) * loss;
  step_ = step;
  if (terminal_) {
    if (Clock::now() - drawn_ >= redraw_every || step_ >= total_) draw();
    return;
  }
  const std::int64_t interval = std::max<std::int64_t>(1, total_ / plain_lines);
  if (first || step_ % interval == 0 || step_ >= total_) {
    std::fprintf(out_, "%s\n", status(step_).c_str());
    std::fflush(out_);
  }
}

std::string Progress::status(std::int64_t step) const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - began_).count();
  const double rate = static_cast<double>(step - start_) / std::max(elapsed, 1e-9);
  const int digits = static_cast<int>(std::to_string(total_).size());
  char text[160];
  std::snprintf(text, sizeof text, "%*lld/%lld  loss %.4f  %.2f patches/s  %s left", digits,
                static_cast<long long>(step), static_cast<long long>(total_), loss_,
                rate * static_cast<double>(batch_),
                rate > 0 ? clock_text(static_cast<double>(total_ - step) / rate).c_str() : "?");
  return text;
}

void Progress::draw() {
  const std::string text = status(step_);
  const int room = std::clamp(terminal_width(out_) - static_cast<int>(text.size()) - 5, 0, 40);
  const int done = static_cast<int>(static_cast<double>(room) * static_cast<double>(step_) /
                                    static_cast<double>(std::max<std::int64_t>(1, total_)));
  std::string bar(static_cast<std::size_t>(std::clamp(done, 0, room)), '#');
  bar.resize(static_cast<std::size_t>(room), '.');
  std::fprintf(out_, "\r\033[K[%s]  %s", bar.c_str(), text.c_str());
  std::fflush(out_);
  drawn_ = Clock::now();
  shown_ = step_;
}

void Progress::note(const std::string& line) {
  std::fprintf(out_, "%s%s\n", terminal_ ? "\r\033[K" : "", line.c_str());
  if (terminal_ && !finished_ && shown_ >= 0) draw();
  std::fflush(out_);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  if (!terminal_ || shown_ < 0) return;
  if (shown_ != step_) draw();
  std::fputc('\n', out_);
  std::fflush(out_);
}

}  // namespace segment
