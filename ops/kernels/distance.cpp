#include "ops/kernels/distance.hpp"

#include <cmath>
#include <limits>

#include "ops/kernels/loop_plan.hpp"

namespace lucid::kernels {
namespace {

constexpr std::int64_t kLines = 16;  // lines side by side in memory that are read and written together
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// One line at a time; positions are in elements, w is the squared spacing.
class Envelope {
 public:
  Envelope(std::int64_t length, double spacing)
      : length_(length),
        w_(spacing * spacing),
        roots_(static_cast<std::size_t>(length)),
        starts_(static_cast<std::size_t>(length)) {}

  // f becomes the envelope of the parabolas f(r) + w (q - r)^2.
  void transform(const double* f, double* g) {
    build(f);
    if (count_ == 0) return static_cast<void>(std::fill_n(g, length_, kInfinity));
    for (std::int64_t q = 0, k = 0; q < length_; ++q) {
      while (k + 1 < count_ && starts_[at(k + 1)] <= static_cast<double>(q)) ++k;
      const double away = static_cast<double>(q - roots_[at(k)]);
      g[q] = f[roots_[at(k)]] + w_ * away * away;
    }
  }

 private:
  static std::size_t at(std::int64_t k) { return static_cast<std::size_t>(k); }

  // Where the parabola of q comes to lie below that of r < q.
  double crossing(const double* f, std::int64_t r, std::int64_t q) const {
    const double gap = static_cast<double>(q - r);
    return 0.5 * (static_cast<double>(q + r) + (f[q] - f[r]) / (w_ * gap));
  }

  // roots_ become the lowest parabolas from left to right, starts_ where each begins to be the lowest.
  void build(const double* f) {
    count_ = 0;
    for (std::int64_t q = 0; q < length_; ++q) {
      if (f[q] == kInfinity) continue;
      double start = -kInfinity;
      while (count_ > 0) {
        start = crossing(f, roots_[at(count_ - 1)], q);
        if (start > starts_[at(count_ - 1)]) break;
        --count_;
        start = -kInfinity;
      }
      roots_[at(count_)] = q;
      starts_[at(count_++)] = start;
    }
  }

  std::int64_t length_, count_ = 0;
  double w_;
  std::vector<std::int64_t> roots_;
  std::vector<double> starts_;
};

template <class T>
void along(const Tensor& values, std::size_t axis, double spacing) {
  Shape lines = values.shape();
  Strides strides = values.strides();
  const std::int64_t length = lines[axis], step = strides[axis];
  lines.erase(axis);
  strides.erase(axis);
  const auto plan = plan_loop<1>(lines, {strides});
  const std::int64_t next = plan.strides[0][plan.rank - 1];
  T* base = values.data_to_write<T>();
  const std::int64_t grain = std::max<std::int64_t>(kLines, kElementGrain / length);
  parallel_for(plan.numel, grain, [&](std::int64_t begin, std::int64_t end) {
    Envelope envelope(length, spacing);
    std::vector<double> in(static_cast<std::size_t>(length * kLines)), out(in.size());
    for_rows(plan, begin, end, [&](const auto& at, std::int64_t n) {
      for (std::int64_t done = 0; done < n; done += kLines) {
        T* p = base + at[0] + done * next;
        const std::int64_t count = std::min(kLines, n - done);
        for (std::int64_t q = 0; q < length; ++q)
          for (std::int64_t i = 0; i < count; ++i)
            in[static_cast<std::size_t>(i * length + q)] = static_cast<double>(p[q * step + i * next]);
        for (std::int64_t i = 0; i < count; ++i)
          envelope.transform(in.data() + i * length, out.data() + i * length);
        for (std::int64_t q = 0; q < length; ++q)
          for (std::int64_t i = 0; i < count; ++i)
            p[q * step + i * next] = static_cast<T>(out[static_cast<std::size_t>(i * length + q)]);
      }
    });
  });
}

}  // namespace

void squared_distances(const Tensor& values, std::size_t axis, double spacing) {
  if (values.numel() == 0) return;
  if (values.dtype() == f64)
    along<double>(values, axis, spacing);
  else
    along<float>(values, axis, spacing);
}

}  // namespace lucid::kernels
