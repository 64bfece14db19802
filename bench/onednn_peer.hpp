#pragma once
// The raw oneDNN primitive in the memory layout that suits it best.

#include <memory>
#include <optional>

#include "bench/case.hpp"
#include "bench/timing.hpp"

namespace bench {

/// Each pass is described three times: activations plain (ncdhw), channels-last (ndhwc) and in the layout
/// that oneDNN asks for; the weight always lies as it asks for. Operands are reordered beforehand, so only
/// the primitive is timed. Layouts that are far behind in the first round are not timed again.
class OnednnPeer {
 public:
  explicit OnednnPeer(const ConvCase& shape);
  ~OnednnPeer();

  /// Measures one round; nothing when oneDNN has no such primitive.
  void measure(Pass pass, const RepeatRule& rule);
  /// Median over the rounds, of the fastest layout.
  std::optional<double> ms(Pass pass) const;
  /// Of the pass's result, in each layout that has a primitive.
  std::vector<double> norms(Pass pass) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bench
