#include "bench/lucid_side.hpp"

#include <benchmark/benchmark.h>

#include "autograd/grad_mode.hpp"
#include "bench/operands.hpp"
#include "ops/conv_form.hpp"
#include "ops/plan_stats.hpp"

namespace bench {
namespace {

// Keeps the figure and prints nothing.
class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override { ms_ = runs.at(0).GetAdjustedRealTime(); }
  double ms() const { return ms_; }

 private:
  double ms_ = 0;
};

}  // namespace

LucidSide::LucidSide(const ConvCase& shape)
    : case_(shape),
      geometry_(shape.geometry()),
      input_(pattern(shape.input_shape()).channels_last()),
      weight_(pattern(shape.weight_shape())),
      grad_(pattern(shape.output_shape()).channels_last()) {}

lucid::Tensor LucidSide::result(Pass pass) const {
  const lucid::no_grad guard;
  if (pass == Pass::forward) {
    if (case_.transposed())
      return lucid::conv_transpose3d(input_, weight_, {},
                                     {.stride = case_.stride,
                                      .padding = case_.padding,
                                      .output_padding = case_.output_padding,
                                      .dilation = case_.dilation,
                                      .groups = case_.groups});
    return lucid::conv3d(input_, weight_, {},
                         {.stride = case_.stride,
                          .padding = case_.padding,
                          .dilation = case_.dilation,
                          .groups = case_.groups});
  }
  // In the trilinear form a transposed convolution's input is y, its output x.
  const bool transposed = case_.transposed();
  if (pass == Pass::backward_weights)
    return transposed ? lucid::ops::conv_form_w(geometry_, grad_, input_)
                      : lucid::ops::conv_form_w(geometry_, input_, grad_);
  return transposed ? lucid::ops::conv_form_y(geometry_, grad_, weight_)
                    : lucid::ops::conv_form_x(geometry_, grad_, weight_);
}

double LucidSide::time(Pass pass, const RepeatRule& rule) const {
  settle();
  const int repeats = rule.repeats(milliseconds([&] { result(pass); }));
  // Google Benchmark would run everything of lucid's at once; so that the peers come in between, each round
  // registers and runs one benchmark of as many iterations as they get.
  benchmark::ClearRegisteredBenchmarks();
  benchmark::RegisterBenchmark("lucid",
                               [&](benchmark::State& state) {
                                 for (auto _ : state) benchmark::DoNotOptimize(result(pass));
                               })
      ->Iterations(repeats)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector, ".");
  return collector.ms();
}

double LucidSide::norm(Pass pass) const {
  const lucid::Tensor out = result(pass);
  return bench::norm(out.data<float>(), out.numel());
}

std::string LucidSide::implementation(Pass pass) const {
  result(pass);
  return lucid::plan_stats().last_implementation;
}

}  // namespace bench
