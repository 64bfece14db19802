#include "ops/table.hpp"

namespace lucid::ops {

std::vector<Op> built_in_ops() {
  std::vector<Op> out;
#define LUCID_LIST_OP(name) out.push_back(name##_op());
  LUCID_OP_TABLE(LUCID_LIST_OP)
#undef LUCID_LIST_OP
  return out;
}

}  // namespace lucid::ops
