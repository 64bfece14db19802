#include "ops/reference/definitions.hpp"

namespace lucid::reference {

const Definitions& definitions() {
  static const Definitions all = [] {
    Definitions out;
    define_arithmetic(out);
    define_attention(out);
    define_unary(out);
    return out;
  }();
  return all;
}

}  // namespace lucid::reference
