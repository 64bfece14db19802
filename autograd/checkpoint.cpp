#include "autograd/checkpoint.hpp"

#include <optional>

#include "autograd/cast_mode.hpp"
#include "autograd/grad_mode.hpp"
#include "autograd/node.hpp"
#include "lucid/random.hpp"

namespace lucid::autograd {
namespace detail {
namespace {

constinit thread_local RecomputedScope* scope = nullptr;

// While alive, the operations of this thread save through `policy`.
class PolicyGuard {
 public:
  explicit PolicyGuard(SavePolicy* policy) : outer_(std::exchange(save_policy, policy)) {}
  ~PolicyGuard() { save_policy = outer_; }
  PolicyGuard(const PolicyGuard&) = delete;
  PolicyGuard& operator=(const PolicyGuard&) = delete;

 private:
  SavePolicy* outer_;
};

// Puts the default generator back where it was.
class GeneratorGuard {
 public:
  GeneratorGuard() : state_(default_generator()) {}
  ~GeneratorGuard() { default_generator() = state_; }
  GeneratorGuard(const GeneratorGuard&) = delete;
  GeneratorGuard& operator=(const GeneratorGuard&) = delete;

 private:
  Generator state_;
};

}  // namespace

// One checkpointed call. In the first run it writes down what is saved, in a later one it keeps it.
class Frame final : public SavePolicy, public std::enable_shared_from_this<Frame> {
 public:
  Frame(const std::function<Tensors(const Tensors&)>& function, const Tensors& inputs,
        bool preserve_rng_state);
  ~Frame() override;

  Tensors first_run(const Tensors& inputs);
  std::unique_ptr<Deferred> defer(const Tensor& tensor, bool is_result) override;
  /// The saved tensor number `index`, made again if need be. Its version is checked: `op` reads it.
  Tensor take(std::size_t index, std::string_view op);
  /// Nobody will read number `index` any more.
  void forget(std::size_t index);
  void drop_slots() { slots_.clear(); }

 private:
  enum class State { idle, first, again };

  struct Expected {
    Shape shape;
    DType dtype;
    std::weak_ptr<Storage> storage;
    std::uint32_t version;
    const Node* source;  // to which its gradient goes; only compared
    bool wanted = true;
  };
  struct Slot {
    Tensor tensor;
    std::uint32_t version = 0;
  };

  void run_again();
  void collect(const Tensor& tensor, bool is_result);

  std::function<Tensors(const Tensors&)> function_;
  SavedTensors inputs_;
  Edges input_edges_;
  std::optional<Generator> generator_;  // as it was before the first run
  DType dtype_ = compute_dtype();       // likewise
  std::vector<Shape> outputs_;
  std::vector<Expected> expected_;
  std::vector<Slot> slots_;  // empty, or one for each of expected_
  std::size_t next_ = 0;     // of expected_, while running again
  State state_ = State::idle;
};

namespace {

// Stands in a node for number `index` of what the frame saved.
class Recomputed final : public Deferred {
 public:
  Recomputed(std::shared_ptr<Frame> frame, std::size_t index, Edge edge)
      : frame_(std::move(frame)), index_(index), edge_(std::move(edge)) {}
  ~Recomputed() override { frame_->forget(index_); }

  Tensor read(std::string_view op) override {
    Tensor tensor = frame_->take(index_, op);
    if (!edge_.node) return tensor;
    // Its place is in the graph of the first run, not in that of the second, which is gone.
    const Edge own = gradient_edge(tensor);
    if (own.node == edge_.node && own.result == edge_.result) return tensor;
    tensor = tensor.detach();
    tensor.impl().requires_grad = true;
    Meta& meta = meta_of(tensor);
    meta.node = edge_.node;
    meta.result = edge_.result;
    return tensor;
  }

 private:
  std::shared_ptr<Frame> frame_;
  std::size_t index_;
  Edge edge_;
};

// Stands in the nodes of a second run, which nobody should walk.
class Unreadable final : public Deferred {
 public:
  Tensor read(std::string_view op) override {
    throw AutogradError(
        str(op, ".backward: a function that checkpoint() calls can't walk the graph that it is recording"));
  }
};

[[noreturn]] void raise_other(const std::string& what) {
  throw AutogradError("checkpoint: " + what + "; the function must compute the same each time");
}

}  // namespace

Frame::Frame(const std::function<Tensors(const Tensors&)>& function, const Tensors& inputs,
             bool preserve_rng_state)
    : function_(function) {
  if (preserve_rng_state) generator_ = default_generator();
  // Inside another checkpoint these too are deferred.
  for (const Tensor& input : inputs) {
    inputs_.emplace_back(input, false, 0);
    input_edges_.emplace_back(gradient_edge(input));
  }
}

// A chain of checkpoints is freed as a chain of nodes is: without deep recursion.
Frame::~Frame() { drop(input_edges_, inputs_); }

Tensors Frame::first_run(const Tensors& inputs) {
  state_ = State::first;
  Tensors out;
  {
    const PolicyGuard guard(this);
    out = function_(inputs);
  }
  state_ = State::idle;
  for (const Tensor& output : out) outputs_.push_back(output.defined() ? output.shape() : Shape{});
  return out;
}

std::unique_ptr<Deferred> Frame::defer(const Tensor& tensor, bool is_result) {
  if (state_ == State::again) {
    collect(tensor, is_result);
    return std::make_unique<Unreadable>();
  }
  Edge edge = is_result ? Edge{} : gradient_edge(tensor);
  expected_.push_back(
      {tensor.shape(), tensor.dtype(), tensor.impl().storage, tensor.version(), edge.node.get()});
  return std::make_unique<Recomputed>(shared_from_this(), expected_.size() - 1, std::move(edge));
}

void Frame::collect(const Tensor& tensor, bool is_result) {
  if (next_ == expected_.size())
    raise_other(str("the second call saves more than the ", expected_.size(), " tensors of the first"));
  const Expected& expected = expected_[next_];
  if (tensor.shape() != expected.shape || tensor.dtype() != expected.dtype)
    raise_other(str("saved tensor ", next_, " has shape ", tensor.shape(), " and type ", tensor.dtype(),
                    " in the second call, ", expected.shape, " and ", expected.dtype, " in the first"));
  if (expected.storage.lock() == tensor.impl().storage && tensor.version() != expected.version)
    throw AutogradError(str(
        "checkpoint: a tensor of shape ", tensor.shape(),
        " that the function uses has been changed in place between its two calls (it is at "
        "version ",
        tensor.version(), ", version ", expected.version, " is required); change a clone() of it instead"));
  if (expected.wanted) {
    const bool same_place =
        !is_result && tensor.requires_grad() && gradient_edge(tensor).node.get() == expected.source;
    slots_[next_] = {same_place ? tensor : tensor.detach(), tensor.version()};
  }
  ++next_;
}

void Frame::run_again() {
  Tensors inputs;
  for (const SavedTensor& input : inputs_) inputs.push_back(input.unpack("checkpoint"));
  std::optional<GeneratorGuard> generator_guard;
  if (generator_) {
    generator_guard.emplace();
    default_generator() = *generator_;
  }
  const RecordingGuard recording(true);
  const ComputeDtypeGuard casting(dtype_);
  slots_.assign(expected_.size(), {});
  next_ = 0;
  state_ = State::again;
  try {
    const PolicyGuard guard(this);
    const Tensors out = function_(inputs);
    if (next_ != expected_.size())
      raise_other(str("the second call saves ", next_, " tensors, the first saved ", expected_.size()));
    bool same = out.size() == outputs_.size();
    for (std::size_t i = 0; same && i < out.size(); ++i)
      same = (out[i].defined() ? out[i].shape() : Shape{}) == outputs_[i];
    if (!same) raise_other("the second call returns other shapes than the first");
  } catch (...) {
    state_ = State::idle;
    slots_.clear();
    throw;
  }
  state_ = State::idle;
  if (scope) scope->frames_.push_back(weak_from_this());
}

Tensor Frame::take(std::size_t index, std::string_view op) {
  if (state_ != State::idle) Unreadable().read(op);
  if (slots_.empty() || !slots_[index].tensor.defined()) run_again();
  const Slot slot = std::exchange(slots_[index], {});
  if (slot.tensor.version() != slot.version)
    throw AutogradError(str(op, ".backward: a tensor of shape ", slot.tensor.shape(),
                            " that was saved for the backward pass has since been changed in place; change a "
                            "clone() of it instead"));
  return slot.tensor;
}

void Frame::forget(std::size_t index) {
  expected_[index].wanted = false;
  if (!slots_.empty()) slots_[index] = {};
}

RecomputedScope::RecomputedScope() : outer_(std::exchange(scope, this)) {}
RecomputedScope::~RecomputedScope() {
  scope = outer_;
  for (const auto& weak : frames_)
    if (const auto frame = weak.lock()) frame->drop_slots();
}

}  // namespace detail

Tensors checkpoint(const std::function<Tensors(const Tensors&)>& function, const Tensors& inputs,
                   CheckpointOptions options) {
  check(static_cast<bool>(function), "checkpoint", "the function is empty");
  if (!is_recording()) return function(inputs);
  return std::make_shared<detail::Frame>(function, inputs, options.preserve_rng_state)->first_run(inputs);
}

}  // namespace lucid::autograd
