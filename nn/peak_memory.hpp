#pragma once
// What a training step will hold at once, told from the ops of its forward pass.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lucid/storage.hpp"
#include "lucid/tensor.hpp"

namespace lucid::nn::detail {

/// Is shown the ops of a forward pass in which nothing is kept for a backward pass, notes what would be, and
/// works out the step. Bytes are the allocator's. Ops inside autograd::checkpoint are known for what they
/// are, nested ones as one.
class StepMemory {
 public:
  /// `held`: parameters, buffers and inputs, which live throughout.
  explicit StepMemory(const Tensors& held);

  /// The op that is going to be recorded.
  void record(std::string_view op, std::span<const Tensor> inputs, std::span<const Tensor> results,
              std::span<const Tensor> saved);
  /// Before each op, when what nobody needs any more is gone. `current` bytes are in use; `checkpoint` tells
  /// apart the call of autograd::checkpoint that the program is in, null outside.
  void begin_op(const void* checkpoint, std::int64_t current);
  /// After each op: `peak`, the most that was in use since begin_op(). What the step would hold besides is
  /// added.
  void advance(std::int64_t peak);
  /// The peak of the step: forward, and backward from a gradient of each output. `current` is in use now, at
  /// its end.
  std::int64_t peak(const Tensors& outputs, std::int64_t current);

  /// Bytes that are kept for the backward pass and live in no parameter, buffer or input.
  std::int64_t kept_bytes() const;
  /// Of these, the ones that the latest op was the first to keep.
  std::int64_t newly_kept_bytes() const { return newly_kept_; }

 private:
  using Key = std::uint64_t;  // of a tensor or of a storage

  // Something that is saved: alive from the op that made it to the last one that needs it; where a checkpoint
  // makes it again, from its second call on.
  struct Block {
    std::weak_ptr<Storage> storage;
    std::int64_t bytes = 0;
    std::size_t segment = 0;  // of the checkpoint that makes it again; 0: none
    std::int64_t users = 0;   // ops whose backward rule reads it
  };
  struct Input {
    Key tensor = 0;          // 0: of something before the net, wants no gradient
    std::int64_t bytes = 0;  // of its gradient
    bool is_leaf = false;
    bool aliases = false;  // the rule hands the result's gradient on, or a view of it
  };
  struct Result {
    Key tensor = 0;
    std::int64_t bytes = 0;
  };
  struct Recorded {
    std::string_view op;
    std::vector<Input> inputs;
    std::vector<Result> results;
    std::vector<std::size_t> blocks;
    std::size_t segment = 0;  // of the checkpoint; 0: none
  };
  friend class BackwardWalk;

  Key key_of(const Tensor& tensor);
  std::size_t block_of(const Tensor& tensor, std::size_t segment);
  std::int64_t gone_bytes(std::size_t segment) const;
  bool is_held(const Tensor& tensor) const;

  std::unordered_map<const Storage*, std::weak_ptr<Storage>> held_;
  std::unordered_map<const TensorImpl*, std::pair<std::weak_ptr<TensorImpl>, Key>> keys_;
  std::map<std::pair<const Storage*, std::size_t>, std::size_t> block_index_;  // by segment, too
  std::unordered_map<const Storage*, std::weak_ptr<Storage>> made_in_segment_;
  std::vector<Block> blocks_;
  std::vector<Recorded> ops_;
  Key next_key_ = 1;
  std::int64_t forward_peak_ = 0, newly_kept_ = 0;
  // Bytes that are not in use and would have been kept: by the step, and in the second call of this segment.
  std::int64_t gone_ = 0, gone_in_segment_ = 0;

  const void* checkpoint_ = nullptr;
  std::size_t segment_ = 0;
  std::int64_t segment_start_ = 0;           // bytes in use when it began
  std::vector<std::int64_t> segment_peaks_;  // above that, of the second call; by segment, the first unused
};

}  // namespace lucid::nn::detail
