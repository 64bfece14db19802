#include "bench/machine.hpp"

#include <algorithm>
#include <cstring>

#include <dnnl.hpp>

#include "bench/operands.hpp"
#include "bench/timing.hpp"
#include "lucid/parallel.hpp"

namespace bench {
namespace {

constexpr std::int64_t kLargestCube = 2048;
constexpr std::int64_t kCopied = std::int64_t{256} << 20;  // bytes

// The best of a few: a limit is what the machine reaches when nothing is in the way.
template <class F>
double best_ms(F&& f) {
  double best = milliseconds(f);
  for (int i = 0; i < 2; ++i) best = std::min(best, milliseconds(f));
  return best;
}

double gemm_flops(std::int64_t side, const lucid::Tensor& a, const lucid::Tensor& b, const lucid::Tensor& c) {
  const double ms = best_ms([&] {
    const dnnl_status_t status = dnnl_sgemm('N', 'N', side, side, side, 1, a.data<float>(), side,
                                            b.data<float>(), side, 0, c.mutable_data<float>(), side);
    lucid::check(status == dnnl_success, "bench", "dnnl_sgemm failed with status ", static_cast<int>(status));
  });
  const auto n = static_cast<double>(side);
  return 2 * n * n * n / (ms * 1e-3);
}

double copy_bandwidth(const lucid::Tensor& from, const lucid::Tensor& to) {
  const auto* source = from.data<std::uint8_t>();
  auto* target = to.mutable_data<std::uint8_t>();
  const double ms = best_ms([&] {
    lucid::parallel_for(kCopied, kCopied / lucid::num_threads(), [&](std::int64_t begin, std::int64_t end) {
      std::memcpy(target + begin, source + begin, static_cast<std::size_t>(end - begin));
    });
  });
  return 2.0 * static_cast<double>(kCopied) / (ms * 1e-3);
}

}  // namespace

Machine::Machine()
    : a_(pattern({kLargestCube, kLargestCube})),
      b_(pattern({kLargestCube, kLargestCube})),
      c_(lucid::zeros({kLargestCube, kLargestCube})),
      from_(lucid::ones({kCopied}, lucid::u8)),
      to_(lucid::ones({kCopied}, lucid::u8)) {
  double best = 0;
  for (std::int64_t side = kLargestCube / 2; side <= kLargestCube; side += kLargestCube / 4) {
    const double rate = gemm_flops(side, a_, b_, c_);
    if (rate > best) best = rate, side_ = side;
  }
  measure();
}

void Machine::measure() {
  flops_.push_back(gemm_flops(side_, a_, b_, c_));
  bandwidth_.push_back(copy_bandwidth(from_, to_));
}

double Machine::flops() const { return median(flops_); }
double Machine::bandwidth() const { return median(bandwidth_); }

double Machine::limit_ms(const ConvCase& shape) const {
  return 1e3 * std::max(shape.flops() / flops(), shape.bytes() / bandwidth());
}

}  // namespace bench
