#pragma once
// How the cost of small ops is measured, the same for lucid and for libtorch: what an op takes beside its
// arithmetic. A Side names a framework:
//
//   struct Side {
//     using Tensor = ...;
//     using NoGrad = ...;                                   // a guard
//     static Tensor leaf(bool requires_grad);               // 4 x 4 float32
//     static std::vector<SmallCase<Tensor>> cases();
//     static void backward(const Tensor& result, const Tensor& gradient);
//     static void clear(const Tensor& leaf);                // its gradient
//   };

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace bench {

/// A function from 4 x 4 to 4 x 4 made of `nodes` recorded ops.
template <class Tensor>
struct SmallCase {
  std::string name;
  int nodes;
  std::function<Tensor(const Tensor& x)> run;
};

/// Nanoseconds an op.
struct SmallRow {
  std::string name;
  double no_grad = 0;   ///< recording off
  double recorded = 0;  ///< with the graph, which is freed at once
  double backward = 0;  ///< the walk through one node in a chain
};

/// The least over `rounds` of f()'s nanoseconds: what interrupts the process is no cost of the op.
template <class F>
double least_ns(int rounds, F&& f) {
  double least = 1e18;
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    least = std::min(
        least, std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count());
  }
  return least;
}

/// As least_ns, of a call that is made `calls` times a round.
template <class F>
double least_ns_of_call(int rounds, int calls, F&& f) {
  return least_ns(rounds,
                  [&] {
                    for (int i = 0; i < calls; ++i) f();
                  }) /
         calls;
}

template <class Side>
SmallRow measure_small(const SmallCase<typename Side::Tensor>& c, int rounds) {
  using Tensor = typename Side::Tensor;
  constexpr int kCalls = 100, kChain = 40;  // a chain so short that no gradient becomes denormal
  const Tensor plain = Side::leaf(false), leaf = Side::leaf(true);
  SmallRow row{.name = c.name};
  {
    const typename Side::NoGrad guard;
    row.no_grad = least_ns_of_call(rounds, kCalls, [&] { c.run(plain); }) / c.nodes;
  }
  row.recorded = least_ns_of_call(rounds, kCalls, [&] { c.run(leaf); }) / c.nodes;
  row.backward = 1e18;
  for (int i = 0; i < rounds; ++i) {
    Tensor end = leaf;
    for (int k = 0; k < kChain; ++k) end = c.run(end);
    row.backward =
        std::min(row.backward, least_ns(1, [&] { Side::backward(end, plain); }) / (kChain * c.nodes));
    Side::clear(leaf);
  }
  return row;
}

/// Rows of all cases whose names hold `filter`. Starts a thread first: from then on reference counts are
/// atomic, as they are in every program that works on more than one core.
template <class Side>
std::vector<SmallRow> measure_small_ops(const std::string& filter, int rounds) {
  std::thread([] {}).join();
  std::vector<SmallRow> rows;
  for (const auto& c : Side::cases())
    if (c.name.find(filter) != std::string::npos) rows.push_back(measure_small<Side>(c, rounds));
  return rows;
}

}  // namespace bench
