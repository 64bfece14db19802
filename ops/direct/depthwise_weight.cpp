// The weight gradient of depthwise convolutions: the sums of neighbouring taps along a row are held in
// registers, so that y is read once for them.

#include <algorithm>
#include <cstring>
#include <vector>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/depthwise.hpp"
#include "ops/direct/rows.hpp"

namespace lucid::direct {
namespace {

// A row of x and of y that meet at one (kd, kh), and the first of the neighbouring taps.
template <class T>
struct Meeting {
  const T* x;
  const T* y;
  std::int64_t tap;
};

// sums[k][lane] += sum over y positions of x[at of tap + k] * y, for K taps and one register of channels, of
// which the first `lanes` are there.
template <int Bytes, int K, class T>
[[gnu::always_inline]] inline void add_taps(const Meeting<T>& m, const AxisMap& map, Range range,
                                            std::int64_t channels, std::int64_t lanes, double* sums) {
  typedef T Lanes __attribute__((vector_size(Bytes)));
  constexpr std::int64_t whole = Bytes / static_cast<std::int64_t>(sizeof(T));
  if (range.empty()) return;
  Lanes parts[K] = {};
  const std::int64_t tap_step = step_of(map.dilation, channels), step = step_of(map.stride, channels);
  const T* x = m.x + (range.begin * map.stride + map.shift(m.tap)) * channels;
  const T* y = m.y + range.begin * channels;
  const std::size_t bytes = static_cast<std::size_t>(lanes) * sizeof(T);
  for (std::int64_t i = range.begin; i < range.end; ++i, x += step, y += channels) {
    Lanes a, b = {};
    if (lanes == whole)
      std::memcpy(&b, y, sizeof(Lanes));
    else
      std::memcpy(&b, y, bytes);
    for (int k = 0; k < K; ++k) {
      if (lanes == whole) {
        std::memcpy(&a, x + k * tap_step, sizeof(Lanes));
      } else {
        a = Lanes{};
        std::memcpy(&a, x + k * tap_step, bytes);
      }
      parts[k] += a * b;
    }
  }
  for (int k = 0; k < K; ++k)
    for (std::int64_t lane = 0; lane < lanes; ++lane)
      sums[k * channels + lane] += static_cast<double>(parts[k][lane]);
}

// Taps m.tap to m.tap + count: what they have in common together, the ends one by one.
struct AddMeeting {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const Meeting<T>& m, const AxisMap& map, std::int64_t count,
                                         std::int64_t channels, double* sums) {
    constexpr std::int64_t whole = Bytes / static_cast<std::int64_t>(sizeof(T));
    Range common = map.y_range(m.tap);
    for (std::int64_t k = 1; k < count; ++k) {
      const Range range = map.y_range(m.tap + k);
      common = {std::max(common.begin, range.begin), std::min(common.end, range.end)};
    }
    if (common.empty()) common.end = common.begin;
    for (std::int64_t c = 0; c < channels; c += whole) {
      const std::int64_t lanes = std::min(whole, channels - c);
      Meeting<T> at{m.x + c, m.y + c, m.tap};
      switch (count) {
        case 4: add_taps<Bytes, 4>(at, map, common, channels, lanes, sums + c); break;
        case 3: add_taps<Bytes, 3>(at, map, common, channels, lanes, sums + c); break;
        case 2: add_taps<Bytes, 2>(at, map, common, channels, lanes, sums + c); break;
        default: add_taps<Bytes, 1>(at, map, common, channels, lanes, sums + c);
      }
      for (std::int64_t k = 0; k < count; ++k) {
        const Range range = map.y_range(m.tap + k);
        at.tap = m.tap + k;
        for (const Range end : {Range{range.begin, std::min(common.begin, range.end)},
                                Range{std::max(common.end, std::max(range.begin, common.begin)), range.end}})
          if (!end.empty()) add_taps<Bytes, 1>(at, map, end, channels, lanes, sums + k * channels + c);
      }
    }
  }
};

constexpr std::int64_t kTogether = 4;  // taps

template <class T>
void run(const ConvProblem& p, const Tensor& input, const Tensor& grad, const Tensor& out) {
  const Maps maps(p.geometry);
  const std::int64_t channels = p.geometry.groups;
  const T *x = input.data<T>(), *y = grad.data<T>();
  T* w = out.mutable_data<T>();
  const Strides& s = out.strides();
  const std::int64_t chunks = (maps.w.kernel + kTogether - 1) / kTogether;
  const std::int64_t tasks = maps.d.kernel * maps.h.kernel * chunks;
  parallel_for(tasks, grain_of(p.work(), tasks), [&](std::int64_t begin, std::int64_t end) {
    std::vector<double> sums(static_cast<std::size_t>(kTogether * channels));
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t tap = task % chunks * kTogether, kh = task / chunks % maps.h.kernel,
                         kd = task / chunks / maps.h.kernel;
      const std::int64_t count = std::min(kTogether, maps.w.kernel - tap);
      std::fill(sums.begin(), sums.end(), 0.0);
      const Range depth = maps.d.y_range(kd), height = maps.h.y_range(kh);
      for (std::int64_t n = 0; n < p.batch; ++n)
        for (std::int64_t d = depth.begin; d < depth.end; ++d)
          for (std::int64_t h = height.begin; h < height.end; ++h)
            run_for_registers<AddMeeting>(
                Meeting<T>{x + ((n * maps.d.x + maps.d.x_of(d, kd)) * maps.h.x + maps.h.x_of(h, kh)) *
                                   maps.w.x * channels,
                           y + ((n * maps.d.y + d) * maps.h.y + h) * maps.w.y * channels, tap},
                maps.w, count, channels, sums.data());
      for (std::int64_t k = 0; k < count; ++k)
        for (std::int64_t c = 0; c < channels; ++c)
          w[c * s[0] + kd * s[2] + kh * s[3] + (tap + k) * s[4]] =
              static_cast<T>(sums[static_cast<std::size_t>(k * channels + c)]);
    }
  });
}

}  // namespace

void depthwise_weight_grad(const ConvProblem& p, const Tensor& x, const Tensor& y, const Tensor& out) {
  out.dtype() == f64 ? run<double>(p, x, y, out) : run<float>(p, x, y, out);
}

}  // namespace lucid::direct
