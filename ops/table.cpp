#include "ops/table.hpp"

#include "ops/reference/definitions.hpp"

namespace lucid::ops {

std::vector<Op> built_in_ops() {
  std::vector<Op> out;
#define LUCID_LIST_OP(name) out.push_back(name##_op());
  LUCID_OP_TABLE(LUCID_LIST_OP)
#undef LUCID_LIST_OP
  const auto& definitions = reference::definitions();
  for (Op& op : out)
    if (const auto found = definitions.find(op.name); found != definitions.end())
      op.reference = found->second;
  return out;
}

}  // namespace lucid::ops
