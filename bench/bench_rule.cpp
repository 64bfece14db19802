// bench_rule: how well the cost rule (ops/conv_rule.hpp) chooses: convolutions of random shapes, each pass by
// every algorithm that serves. Prints where another was faster, the worst first, and the geometric mean of
// what the rule's choice takes beside the fastest.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <random>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "bench/case.hpp"
#include "bench/operands.hpp"
#include "lucid/parallel.hpp"
#include "ops/conv_algorithm.hpp"
#include "ops/conv_plan.hpp"

namespace {

using namespace bench;
using lucid::Dims3;
using lucid::Tensor;
using lucid::ops::ConvPass;

struct Settings {
  int shapes = 400, seed = 1, worst = 20, threads = 0;
};

class Draws {
 public:
  explicit Draws(int seed) : random_(static_cast<std::mt19937::result_type>(seed)) {}

  // Of a convolution with 0.2 million to 1.2 billion products and at most 200 MB of x or y.
  ConvCase shape() {
    constexpr double kLeastFlops = 4e5, kMostFlops = 2.4e9, kMostBytes = 4e8;
    for (;;) {
      const ConvCase out = any();
      if (out.flops() >= kLeastFlops && out.flops() <= kMostFlops && out.bytes() <= kMostBytes) return out;
    }
  }

 private:
  struct Kernel {
    Dims3 kernel, stride, padding, output_padding;
  };

  template <class T>
  const T& pick(const std::vector<T>& values) {
    return values[random_() % values.size()];
  }

  ConvCase any() {
    static const std::vector<std::int64_t> kChannels{1,  1,  2,  3,  4,  8,  12, 16,  16,
                                                     24, 32, 32, 48, 64, 64, 96, 128, 256},
        kSides{3, 4, 6, 8, 12, 16, 20, 27, 32, 48, 64}, kBatches{1, 1, 2, 4}, kGroups{1, 1, 1, 1, 1, 2, 4, 8};
    static const std::vector<Kernel> kKernels{{3, 1, 1, 0},
                                              {3, 1, 1, 0},
                                              {3, 2, 1, 0},
                                              {3, 2, 1, 1},
                                              {4, 2, 1, 0},
                                              {2, 2, 0, 0},
                                              {2, 2, 0, 0},
                                              {1, 1, 0, 0},
                                              {1, 2, 0, 1},
                                              {5, 1, 2, 0},
                                              {7, 2, 3, 1},
                                              {{1, 2, 2}, {1, 2, 2}, 0, 0},
                                              {{1, 3, 3}, 1, {0, 1, 1}, 0},
                                              {{1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {0, 1, 1}},
                                              {{3, 3, 1}, 1, {1, 1, 0}, 0}};
    const Kernel& k = pick(kKernels);
    ConvCase out{.group = "rule",
                 .op = "conv_transpose3d",
                 .batch = pick(kBatches),
                 .in = pick(kChannels),
                 .out = pick(kChannels),
                 .side = pick(kSides),
                 .kernel = k.kernel,
                 .stride = k.stride,
                 .padding = k.padding,
                 .output_padding = k.output_padding};
    if (const std::int64_t groups = pick(kGroups); out.in % groups == 0 && out.out % groups == 0)
      out.groups = groups;
    if (k.kernel == Dims3(3) && k.stride == Dims3(1) && random_() % 4 == 0) out.dilation = 2, out.padding = 2;
    return out;
  }

  std::mt19937 random_;
};

struct Loss {
  double ratio;  // of the rule's choice to the fastest
  std::string text;
};

Loss loss_of(const ConvCase& shape, ConvPass pass, const char* pass_name) {
  const lucid::ops::ConvGeometry g = shape.geometry();
  const auto channels_last = [](const lucid::Shape& sizes) { return pattern(sizes).channels_last(); };
  const Tensor x = channels_last(shape.output_shape()), y = channels_last(shape.input_shape()),
               weight = pattern(shape.weight_shape());
  lucid::ops::ConvProblem problem{.geometry = g, .batch = shape.batch};
  problem.x_channels = shape.out / shape.groups;
  problem.y_channels = shape.in / shape.groups;
  const lucid::ops::ConvPlan chosen(problem, pass, lucid::f32, weight.strides(), false);
  const auto plans = lucid::ops::measured_plans(problem, pass, x, weight, y, {});
  double rule = 0;
  std::string text = shape.name() + "  " + pass_name + "  " + chosen.implementation + ";";
  for (const auto& [plan, seconds] : plans) {
    if (plan->implementation == chosen.implementation) rule = seconds;
    char part[96];
    std::snprintf(part, sizeof(part), " %s %.3f", plan->implementation.c_str(), seconds * 1e3);
    text += part;
  }
  const double best = std::ranges::min_element(plans, {}, &lucid::ops::MeasuredPlan::seconds)->seconds;
  return {rule > 0 ? rule / best : 1, text};
}

void run(const Settings& settings) {
  if (settings.threads > 0) lucid::set_num_threads(settings.threads);
  Draws draws(settings.seed);
  std::vector<Loss> losses;
  double logs = 0;
  for (int i = 0; i < settings.shapes; ++i) {
    const ConvCase shape = draws.shape();
    for (const auto& [pass, name] :
         {std::pair{ConvPass::x, "to x"}, {ConvPass::y, "to y"}, {ConvPass::w, "weights"}}) {
      losses.push_back(loss_of(shape, pass, name));
      logs += std::log(losses.back().ratio);
    }
  }
  std::ranges::sort(losses, std::greater<>(), &Loss::ratio);
  for (std::size_t i = 0; i < std::min(losses.size(), static_cast<std::size_t>(settings.worst)); ++i)
    std::printf("%5.2f  %s\n", losses[i].ratio, losses[i].text.c_str());
  const auto beyond = [&](double ratio) {
    return std::ranges::count_if(losses, [&](const Loss& loss) { return loss.ratio > ratio; });
  };
  std::printf(
      "\n%zu passes of %d random shapes, %d threads: the rule's choice takes %.3f times the fastest's time "
      "(geometric mean), more than 1.25 times in %td, twice in %td\n",
      losses.size(), settings.shapes, lucid::num_threads(),
      std::exp(logs / static_cast<double>(losses.size())), beyond(1.25), beyond(2));
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("the rule that chooses convolution kernels beside all that serve");
  app.add_option("--shapes", settings.shapes, "how many random ones")->check(CLI::Range(1, 100000));
  app.add_option("--seed", settings.seed, "of the shapes");
  app.add_option("--worst", settings.worst, "how many passes to print")->check(CLI::Range(0, 1000000));
  app.add_option("--threads", settings.threads, "default: OMP_NUM_THREADS or one a core")
      ->check(CLI::Range(1, 4096));
  CLI11_PARSE(app, argc, argv);
  try {
    run(settings);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_rule: %s\n", error.what());
    return 1;
  }
}
