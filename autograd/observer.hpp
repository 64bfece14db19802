#pragma once
// Sees every operation of a thread as it is computed, recorded or not: what a tracer or a summary of a net
// needs.
//
//   struct Names : autograd::Observer {
//     void on_op(std::string_view name, std::span<const Tensor>, std::span<const Tensor>,
//                const autograd::OpOptions&) override { names.emplace_back(name); }
//     std::vector<std::string> names;
//   } names;
//   { autograd::ObserverGuard guard(names); net(x); }
//
// Seen is what passes record(): the differentiable ops, with their integer results (max's indices), and the
// ops whose result has no gradient that call observe_op() instead. An op that is made of others is seen as
// its parts, each after it was computed; where an op uses another one inside (a contiguous() copy, say), that
// one is seen first. A change in place is seen as the op that computed the new values, if one did, not as the
// write. Factories (zeros, randn), detach() and what a program does through data() are not seen.

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "lucid/tensor.hpp"

namespace lucid::autograd {

/// The options of the op that is being seen, as ops::call takes them; written out only when asked for. Valid
/// during the call that it is given to.
class OpOptions {
 public:
  template <class Options>
  explicit OpOptions(const Options& options)
      : options_(&options), write_([](nlohmann::json& out, const void* given) {
          to_json(out, *static_cast<const Options*>(given));
        }) {}
  nlohmann::json operator()() const;

 private:
  const void* options_;
  void (*write_)(nlohmann::json&, const void*);
};

class Observer {
 public:
  virtual ~Observer() = default;
  /// The op `name` (the registry's, which lives as long as the program) has computed `results` from `inputs`,
  /// some of which may be undefined; the results have not entered the graph yet. Ops called in here are not
  /// seen. What it throws comes out of the op.
  virtual void on_op(std::string_view name, std::span<const Tensor> inputs, std::span<const Tensor> results,
                     const OpOptions& options) = 0;
  /// Called after on_op() when the op is about to be recorded and would keep `saved` until the backward pass.
  /// Returning false keeps nothing: the results look recorded, so that what follows behaves as if they were,
  /// but a backward pass that reaches them throws AutogradError.
  virtual bool keep(std::span<const Tensor> saved);
};

/// Shows `observer` the ops of this thread while alive; the one before it, if any, sees nothing meanwhile.
class ObserverGuard {
 public:
  explicit ObserverGuard(Observer& observer);
  ~ObserverGuard();
  ObserverGuard(const ObserverGuard&) = delete;
  ObserverGuard& operator=(const ObserverGuard&) = delete;

 private:
  Observer* outer_;
};

namespace detail {
// Constant-initialised, so that reading it is one load.
extern constinit thread_local Observer* observer;
/// Shows the op to the observer. Returns whether it shall be recorded.
bool observe(std::string_view name, std::span<const Tensor> inputs, std::span<const Tensor> results,
             std::span<const Tensor> saved, const OpOptions& options, bool recorded);
// Out of line: it is rarely needed and would be inlined into every op.
template <class Options>
[[gnu::noinline]] bool observe_call(std::string_view name, std::span<const Tensor> inputs,
                                    std::span<const Tensor> results, std::span<const Tensor> saved,
                                    const Options& options, bool recorded) {
  return observe(name, inputs, results, saved, OpOptions(options), recorded);
}
}  // namespace detail

/// For an op that is never recorded: shows it to the observer, if there is one.
template <class Options>
void observe_op(std::string_view name, std::span<const Tensor> results, std::span<const Tensor> inputs,
                const Options& options) {
  if (detail::observer) [[unlikely]]
    detail::observe_call(name, inputs, results, {}, options, false);
}

}  // namespace lucid::autograd
