#include "autograd/op_timer.hpp"

namespace lucid::autograd::detail {

constinit thread_local OpSink* op_sink = nullptr;

}  // namespace lucid::autograd::detail
