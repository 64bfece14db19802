#include "ops/onednn/shim.hpp"

namespace lucid::onednn {

// Never destroyed: primitives in static caches may outlive it.
const dnnl::engine& engine() {
  static const auto* instance = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *instance;
}

dnnl::stream& stream() {
  thread_local dnnl::stream instance(engine());
  return instance;
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

void append_eltwise(dnnl::post_ops& to, dnnl::algorithm function, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  to.append_eltwise(function, alpha, beta);
#else
  to.append_eltwise(1.0f, function, alpha, beta);
#endif
}

}  // namespace lucid::onednn
