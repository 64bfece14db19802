#pragma once
// The only place that knows which oneDNN it is compiled against: 2.6 and 3.x differ in how a primitive is
// described. Included by ops/onednn/ and by bench/, which measures the raw primitives.

#include <dnnl.hpp>

namespace lucid::onednn {

/// The processor.
const dnnl::engine& engine();
/// The calling thread's stream; work submitted to it is done when the call returns.
dnnl::stream& stream();

/// Attributes of a primitive whose scratchpad the caller allocates.
dnnl::primitive_attr user_scratchpad();

/// Appends an element by element function to what a primitive does with its result.
void append_eltwise(dnnl::post_ops& to, dnnl::algorithm function, float alpha, float beta);

/// Describes a forward primitive by the arguments that both versions share.
template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(const dnnl::primitive_attr& attr, const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine(), arguments..., attr);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(arguments...), attr, engine());
#endif
}

/// Describes a backward primitive; `forward` is the description of the forward one.
template <class Primitive, class Forward, class... Arguments>
typename Primitive::primitive_desc describe_backward(const dnnl::primitive_attr& attr, const Forward& forward,
                                                     const Arguments&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine(), arguments..., forward, attr);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(arguments...), attr, engine(), forward);
#endif
}

}  // namespace lucid::onednn
