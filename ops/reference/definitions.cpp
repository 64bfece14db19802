#include "ops/reference/definitions.hpp"

namespace lucid::reference {

const Definitions& definitions() {
  static const Definitions all = [] {
    Definitions out;
    define_arithmetic(out);
    define_grid_sample(out);
    define_attention(out);
    define_unary(out);
    define_reductions(out);
    define_shapes(out);
    define_parts(out);
    define_picks(out);
    define_matmul(out);
    define_convolution(out);
    define_pooling(out);
    define_resizing(out);
    define_normalisation(out);
    define_dropout(out);
    define_distance(out);
    define_losses(out);
    define_region_losses(out);
    return out;
  }();
  return all;
}

}  // namespace lucid::reference
