#include "autograd/profile.hpp"

#include <algorithm>
#include <utility>

#include "lucid/error.hpp"

namespace lucid {
namespace {

// The profiles that are alive on this thread; the last one measures.
thread_local std::vector<autograd::OpSink*> alive;

void choose_sink() { autograd::detail::op_sink = alive.empty() ? nullptr : alive.back(); }

double seconds_of(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

profile::profile(ProfileOptions options) : options_(options), start_(Clock::now()) {
  check(options.max_trace_events >= 0, "profile", "max_trace_events is ", options.max_trace_events,
        "; 0 or more is required");
  alive.push_back(this);
  choose_sink();
}

profile::~profile() { stop(); }

void profile::stop() {
  if (stopped_) return;
  stopped_ = true;
  stop_ = Clock::now();
  std::erase(alive, static_cast<autograd::OpSink*>(this));
  choose_sink();
}

double profile::wall_seconds() const { return seconds_of((stopped_ ? stop_ : Clock::now()) - start_); }

void profile::begin(std::string_view op, bool backward) {
  const bool inside = !open_.empty() && open_.back().backward;
  Open next;
  next.op = op;
  next.is_rule = backward && op != "backward";
  next.backward = backward || inside;
  next.is_outermost = std::none_of(open_.begin(), open_.end(), [&](const Open& open) {
    return open.op == op && open.is_rule == next.is_rule && open.backward == next.backward;
  });
  open_.push_back(std::move(next));
  open_.back().start = Clock::now();
}

void profile::end() {
  const Clock::time_point now = Clock::now();
  if (open_.empty()) return;  // begun before this profile
  const Open open = std::move(open_.back());
  open_.pop_back();
  const Clock::duration length = now - open.start;
  if (!open_.empty()) open_.back().inner += length;

  const std::size_t at = row_of(open);
  ProfileRow& row = rows_[at];
  ++row.calls;
  row.self_seconds += seconds_of(length - open.inner);
  if (open.is_outermost) row.total_seconds += seconds_of(length);
  row.flops += open.flops;
  row.bytes += open.bytes;
  row.weight_reorders += open.weight_reorders;
  row.activation_reorders += open.activation_reorders;
  if (static_cast<std::int64_t>(events_.size()) == options_.max_trace_events) {
    ++left_out_;
    return;
  }
  events_.push_back({at, open.start - start_, length, open.flops, open.bytes,
                     open.weight_reorders + open.activation_reorders});
}

std::size_t profile::row_of(const Open& open) {
  const std::string name = open.is_rule ? lucid::str(open.op, ".backward") : std::string(open.op);
  const auto found = std::find_if(rows_.begin(), rows_.end(), [&](const ProfileRow& row) {
    return row.op == name && row.backward == open.backward && row.implementation == open.implementation;
  });
  if (found != rows_.end()) return static_cast<std::size_t>(found - rows_.begin());
  ProfileRow row;
  row.op = name;
  row.backward = open.backward;
  row.implementation = open.implementation;
  rows_.push_back(std::move(row));
  return rows_.size() - 1;
}

void profile::kernel(const autograd::KernelRun& run) {
  if (open_.empty()) return;
  Open& open = open_.back();
  if (open.implementation.empty()) open.implementation = run.implementation;
  open.flops += run.flops;
  open.bytes += run.bytes;
  open.weight_reorders += run.weight_reordered;
}

void profile::activation_reorder(std::int64_t) {
  if (!open_.empty()) ++open_.back().activation_reorders;
}

std::vector<ProfileRow> profile::rows() const {
  std::vector<ProfileRow> out = rows_;
  std::stable_sort(out.begin(), out.end(),
                   [](const ProfileRow& a, const ProfileRow& b) { return a.self_seconds > b.self_seconds; });
  return out;
}

double profile::seconds() const {
  double total = 0;
  for (const ProfileRow& row : rows_) total += row.self_seconds;
  return total;
}

}  // namespace lucid
